"""The requests of the client and what comes back, without sending anything: both clients are thin around this."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import quote

import httpx

from fathom_client.answers import Prediction
from fathom_client.errors import Refusal, ServerNotReachable, TimedOut, UnexpectedAnswer, problem_of
from fathom_client.images import EncodedImage
from fathom_client.options import query_of
from fathom_client.retries import seconds_of
from fathom_client.system import Exported, Model, Readiness

MOST_IMAGES = 32
"""Of one request."""

SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Call:
    """One request. content: its body; or images: the parts of a form."""

    method: str
    path: str
    query: Sequence[tuple[str, str]] = ()
    content: bytes | None = None
    images: Sequence[EncodedImage] = ()
    accept: str = "application/json"

    def request(self, http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        """For this client of httpx; it may be sent several times."""
        parts = [("image", (image.name or f"image-{at}", image.content)) for at, image in enumerate(self.images, 1)]
        headers = {"Accept": self.accept}
        if self.content is not None:
            headers["Content-Type"] = "application/octet-stream"
        return http.build_request(
            self.method,
            self.path,
            params=list(self.query) or None,
            content=self.content,
            files=parts or None,
            headers=headers,
        )


def predict_call(model: str, image: EncodedImage, options: Mapping[str, Any]) -> Call:
    """One image, as the body of the request."""
    return Call("POST", f"{_path_of(model)}/predict", query_of(options), content=image.content)


def export_call(model: str, images: Sequence[EncodedImage], file_format: str, options: Mapping[str, Any]) -> Call:
    """Up to 32 images in a form, as their names belong into the answer. Raises ValueError."""
    if not 1 <= len(images) <= MOST_IMAGES:
        raise ValueError(f"{len(images)} images; one export holds 1 to {MOST_IMAGES}")
    query = [*query_of(options), ("format", file_format)]
    return Call("POST", f"{_path_of(model)}/predict", query, images=images, accept="*/*")


def model_call(model: str) -> Call:
    """One model's state."""
    return Call("GET", _path_of(model))


def _path_of(model: str) -> str:
    if not model or "/" in model or model in (".", ".."):
        raise ValueError(f"{model!r} is the name of no model")
    return f"/v1/models/{quote(model, safe='')}"


MODELS = Call("GET", "/v1/models")
SYSTEM = Call("GET", "/v1/system")
READY = Call("GET", "/health/ready")


@contextmanager
def in_our_words(address: str) -> Iterator[None]:
    """Turns what httpx raises while it sends into errors of ours."""
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise ServerNotReachable(f"{address} cannot be reached: no connection in time") from error
    except httpx.TimeoutException as error:
        raise TimedOut(f"{address} was silent for too long") from error
    except httpx.TransportError as error:
        is_distrusted = _is_distrusted(error)
        never = isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError)) or is_distrusted
        reason = str(error) or type(error).__name__
        if is_distrusted:
            reason += "; an authority of your own is named by FATHOM_CACERT, or --cacert"
        raise ServerNotReachable(f"{address} cannot be reached: {reason}", may_pass=not never) from error
    except httpx.RequestError as error:
        raise UnexpectedAnswer(f"the answer of {address} cannot be read: {error}") from error


def _is_distrusted(error: BaseException | None) -> bool:
    """Whether the server's certificate is the reason: no second attempt makes it a better one."""
    while error is not None:
        if isinstance(error, SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def accepted(response: httpx.Response, also: int = 200) -> httpx.Response:
    """An answer of status 200, or of one more. Raises Problem and UnexpectedAnswer."""
    status = response.status_code
    if status in (200, also):
        return response
    if status < 400:
        place = response.headers.get("Location", "")
        where = f", to {place[:SHOWN_CHARACTERS]}" if place else ""
        raise UnexpectedAnswer(f"{_shown(response)} answered with status {status}{where}: is the address right?")
    raise problem_of(_refusal_in(_json_or_none(response), response, _text_of(response)))


def prediction_in(response: httpx.Response, name: str | None) -> Prediction:
    """The prediction for the one image that was sent. Raises UnexpectedAnswer, and Problem where it stands there."""
    with _of_this_kind(response):
        body = response.json()
        [entry] = body["images"]
        problem = entry.get("error")
        if problem is None:
            return Prediction.read(body, entry, name)
    raise problem_of(_refusal_in(problem, response, "the image failed"))


def export_in(response: httpx.Response) -> Exported:
    """The file, with its media type."""
    return Exported(response.content, response.headers.get("Content-Type", "").partition(";")[0].strip().lower())


def models_in(response: httpx.Response) -> list[Model]:
    """All models. Raises UnexpectedAnswer."""
    with _of_this_kind(response):
        body = response.json()
        return [Model.read(one, is_default=one["name"] == body.get("default_model")) for one in body["models"]]


def model_in(response: httpx.Response) -> Model:
    """One model. Raises UnexpectedAnswer."""
    with _of_this_kind(response):
        return Model.read(response.json())


def readiness_in(response: httpx.Response) -> Readiness:
    """Raises Problem for a 503 of a proxy before the server, and UnexpectedAnswer."""
    body = _json_or_none(response)
    if response.status_code == 503 and not (isinstance(body, dict) and "reasons" in body):
        return readiness_in(accepted(response))
    with _of_this_kind(response):
        return Readiness.read(response.json(), is_ready=response.status_code == 200)


def members_in(response: httpx.Response) -> dict[str, Any]:
    """A JSON object as it is. Raises UnexpectedAnswer."""
    with _of_this_kind(response):
        return dict(response.json().items())


def _refusal_in(document: Any, response: httpx.Response, otherwise: str) -> Refusal:
    """What a problem document says; the response's status and `otherwise` where it does not."""
    members = document if isinstance(document, dict) else {}
    code, detail, status = members.get("code"), members.get("detail"), members.get("status")
    return Refusal(
        status=status if isinstance(status, int) else response.status_code,
        code=code if isinstance(code, str) else "",
        detail=detail if isinstance(detail, str) and detail else otherwise,
        retry_after_s=seconds_of(response.headers.get("Retry-After")),
        request_id=response.headers.get("X-Request-Id"),
    )


@contextmanager
def _of_this_kind(response: httpx.Response) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"[:SHOWN_CHARACTERS]
        raise UnexpectedAnswer(
            f"{_shown(response)} does not answer as a FathomNet server does ({reason}): is the address right?"
        ) from error


def _json_or_none(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def _text_of(response: httpx.Response) -> str:
    """What an answer without a problem document says: its text where it is plain, else the phrase of its status."""
    is_plain = response.headers.get("Content-Type", "").startswith("text/plain")
    text = " ".join(response.text[:SHOWN_CHARACTERS].split()) if is_plain else ""
    return text or response.reason_phrase or "no reason given"


def _shown(response: httpx.Response) -> str:
    return str(response.request.url.copy_with(userinfo=b"", query=None))
