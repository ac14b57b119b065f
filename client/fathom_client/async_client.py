"""The client for programs with asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from fathom_client import calls
from fathom_client.answers import Outcome, Prediction
from fathom_client.calls import Call
from fathom_client.connection import Connection
from fathom_client.errors import FathomError
from fathom_client.images import ImageInput, encoded
from fathom_client.ordered import in_order_async
from fathom_client.retries import Attempts, Retry
from fathom_client.system import Exported, Model, Readiness

if TYPE_CHECKING:
    from typing import Self

    from typing_extensions import Unpack

    from fathom_client.options import Options


class AsyncClient:
    """As `Client`, for asyncio: to be used in one event loop."""

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        retry: Retry = Retry(),  # noqa: B008 - it never changes
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._connection = Connection.chosen(url, api_key, timeout_s)
        self._retry = retry
        self._http = httpx.AsyncClient(transport=transport, **self._connection.http_options())

    async def predict(self, image: ImageInput, model: str, **options: Unpack[Options]) -> Prediction:
        """The model's answer for one image."""
        return await self._predict(image, model, options)

    async def predict_many(
        self, images: Iterable[ImageInput], model: str, concurrency: int = 4, **options: Unpack[Options]
    ) -> AsyncGenerator[Prediction, None]:
        """An answer for each image, in their order, while up to `concurrency` requests are under way. Raises the
        error of the first image that fails, when it is its turn."""
        async with aclosing(self.outcomes(images, model, concurrency, **options)) as outcomes:
            async for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error
                if outcome.prediction is not None:
                    yield outcome.prediction

    async def outcomes(
        self, images: Iterable[ImageInput], model: str, concurrency: int = 4, **options: Unpack[Options]
    ) -> AsyncGenerator[Outcome, None]:
        """As predict_many, but an image that fails is an outcome with its error, and the others go on."""
        work = partial(self._outcome, model=model, options=options)
        async with aclosing(in_order_async(images, work, concurrency)) as outcomes:
            async for outcome in outcomes:
                yield outcome

    async def export(
        self, images: Sequence[ImageInput], model: str, format: str, **options: Unpack[Options]
    ) -> bytes:
        """As the method of `Client`."""
        return (await self.exported(images, model, format, **options)).content

    async def exported(
        self, images: Sequence[ImageInput], model: str, format: str, **options: Unpack[Options]
    ) -> Exported:
        """As export, with the media type of the file."""
        files = [await asyncio.to_thread(encoded, image) for image in images]
        return calls.export_in(await self._ask(calls.export_call(model, files, format, options)))

    async def models(self) -> list[Model]:
        """All models of the server."""
        return calls.models_in(await self._ask(calls.MODELS))

    async def model(self, name: str) -> Model:
        """One model, by its name or by the name of a queue that it answers for. Raises ModelNotFound."""
        return calls.model_in(await self._ask(calls.model_call(name)))

    async def ready(self) -> Readiness:
        """Whether a request would be answered now; false is no error, and nothing is sent again for it."""
        request = calls.READY.request(self._http)
        with calls.in_our_words(self._connection.shown):
            return calls.readiness_in(calls.accepted(await self._http.send(request), also=503))

    async def system(self) -> dict[str, Any]:
        """What the server says of its models, replicas, queues and last errors, as it says it."""
        return calls.members_in(await self._ask(calls.SYSTEM))

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _predict(self, image: ImageInput, model: str, options: Mapping[str, Any]) -> Prediction:
        file = await asyncio.to_thread(encoded, image)
        return calls.prediction_in(await self._ask(calls.predict_call(model, file, options)), file.name)

    async def _outcome(self, image: ImageInput, model: str, options: Mapping[str, Any]) -> Outcome:
        try:
            return Outcome(image, await self._predict(image, model, options))
        except FathomError as error:
            return Outcome(image, error=error)

    async def _ask(self, call: Call) -> httpx.Response:
        request = call.request(self._http)
        attempts = Attempts(self._retry)
        while True:
            try:
                with calls.in_our_words(self._connection.shown):
                    return calls.accepted(await self._http.send(request))
            except FathomError as error:
                pause_s = attempts.pause_after(error)
                if pause_s is None:
                    raise
            await asyncio.sleep(pause_s)
