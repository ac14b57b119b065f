"""The client for programs without asyncio."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from fathom_client import calls
from fathom_client.answers import Outcome, Prediction
from fathom_client.calls import Call
from fathom_client.connection import Connection
from fathom_client.errors import FathomError
from fathom_client.images import ImageInput, encoded
from fathom_client.ordered import in_order
from fathom_client.retries import Attempts, Retry
from fathom_client.system import Exported, Model, Readiness

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import Unpack

    from fathom_client.options import Options


class Client:
    """Asks one server; may be used by several threads.

    url: of the server, else FATHOM_URL, else http://localhost:8082. api_key: else FATHOM_API_KEY. timeout_s: how long
    the server may be silent. retry: what is sent again, and when. transport: of httpx, in place of the network.
    FATHOM_CACERT names the authority, a file in PEM, from which the certificate of an https:// server must come.
    Raises ValueError for an address or a key that cannot be one; what its methods raise is in `fathom_client.errors`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        retry: Retry = Retry(),  # noqa: B008 - it never changes
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._connection = Connection.chosen(url, api_key, timeout_s)
        self._retry = retry
        self._http = httpx.Client(transport=transport, **self._connection.http_options())
        self._closed = threading.Event()

    def predict(self, image: ImageInput, model: str, **options: Unpack[Options]) -> Prediction:
        """The model's answer for one image."""
        return self._predict(image, model, options, self._closed)

    def predict_many(
        self, images: Iterable[ImageInput], model: str, concurrency: int = 4, **options: Unpack[Options]
    ) -> Iterator[Prediction]:
        """An answer for each image, in their order, while up to `concurrency` requests are under way. Raises the
        error of the first image that fails, when it is its turn."""
        for outcome in self.outcomes(images, model, concurrency, **options):
            if outcome.error is not None:
                raise outcome.error
            if outcome.prediction is not None:
                yield outcome.prediction

    def outcomes(
        self, images: Iterable[ImageInput], model: str, concurrency: int = 4, **options: Unpack[Options]
    ) -> Iterator[Outcome]:
        """As predict_many, but an image that fails is an outcome with its error, and the others go on."""
        yield from in_order(images, partial(self._outcome, model, options), concurrency)

    def export(self, images: Sequence[ImageInput], model: str, format: str, **options: Unpack[Options]) -> bytes:
        """The answers for 1 to 32 images as one file, in a format that the server writes ("coco", "voc", ...). One
        image that fails makes all of it fail."""
        return self.exported(images, model, format, **options).content

    def exported(self, images: Sequence[ImageInput], model: str, format: str, **options: Unpack[Options]) -> Exported:
        """As export, with the media type of the file."""
        call = calls.export_call(model, [encoded(image) for image in images], format, options)
        return calls.export_in(self._ask(call))

    def models(self) -> list[Model]:
        """All models of the server."""
        return calls.models_in(self._ask(calls.MODELS))

    def model(self, name: str) -> Model:
        """One model, by its name or by the name of a queue that it answers for. Raises ModelNotFound."""
        return calls.model_in(self._ask(calls.model_call(name)))

    def ready(self) -> Readiness:
        """Whether a request would be answered now; false is no error, and nothing is sent again for it."""
        request = calls.READY.request(self._http)
        with calls.in_our_words(self._connection.shown):
            return calls.readiness_in(calls.accepted(self._http.send(request), also=503))

    def system(self) -> dict[str, Any]:
        """What the server says of its models, replicas, queues and last errors, as it says it."""
        return calls.members_in(self._ask(calls.SYSTEM))

    def close(self) -> None:
        """Closes the connections; a pause before a further attempt ends with the error that led to it."""
        self._closed.set()
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _predict(
        self, image: ImageInput, model: str, options: Mapping[str, Any], given_up: threading.Event
    ) -> Prediction:
        file = encoded(image)
        return calls.prediction_in(self._ask(calls.predict_call(model, file, options), given_up), file.name)

    def _outcome(
        self, model: str, options: Mapping[str, Any], image: ImageInput, given_up: threading.Event
    ) -> Outcome:
        try:
            return Outcome(image, self._predict(image, model, options, given_up))
        except FathomError as error:
            return Outcome(image, error=error)

    def _ask(self, call: Call, given_up: threading.Event | None = None) -> httpx.Response:
        """given_up: ends a pause before a further attempt."""
        request = call.request(self._http)
        attempts = Attempts(self._retry)
        while True:
            try:
                with calls.in_our_words(self._connection.shown):
                    return calls.accepted(self._http.send(request))
            except FathomError as error:
                pause_s = attempts.pause_after(error)
                if pause_s is None or (given_up or self._closed).wait(pause_s):
                    raise
