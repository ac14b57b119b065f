"""One inference, from its body to its answer."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidRequest, ServingError
from deployments.prediction import Opaque, Outcome, Prediction
from deployments.request import Image, Options, Request
from deployments.useful_options import refuse_useless
from serve_app.bodies.uploads import UploadLimits, encoding_of, length_in, read_body
from serve_app.faces.face import FaceParts
from serve_app.faces.open_inference import raw
from serve_app.faces.open_inference.compression import ENCODINGS, accepted, compressed, expanded
from serve_app.faces.open_inference.envelope import InferRequest, needed_bytes, read_envelope
from serve_app.faces.open_inference.images import IMAGE, images_in
from serve_app.faces.open_inference.named import NamedModel, find
from serve_app.faces.open_inference.outputs import outputs_of, picked
from serve_app.faces.open_inference.parameters import Asked, asked_in
from serve_app.faces.open_inference.statistics import Statistics
from serve_app.faces.open_inference.tensors import BYTES, LENGTH_BYTES, InputTensor, OutputTensor
from serve_app.http.origins import origin_of

LENGTH_HEADER = "Inference-Header-Content-Length"
"""How many bytes of a body are JSON, where tensors stand after it. 0: the body is one image file."""

_IN_THREAD_FROM_BYTES = 2**18
"""Reading and writing more than this is left to a thread."""

Answered = Prediction | Opaque


@dataclass(frozen=True, slots=True)
class Inferences:
    """Answers by asking the model that the path names."""

    parts: FaceParts
    statistics: Statistics = field(default_factory=Statistics)

    async def answer(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        """The tensors of what was found. Raises ServingError and HTTPException."""
        settings = self.parts.settings
        encoding = encoding_of(http_request, ENCODINGS)
        body: bytes | bytearray = await read_body(http_request, UploadLimits.of(settings), held, ENCODINGS)
        if encoding:
            body = await expanded(bytes(body), encoding, settings.max_upload_bytes, held)
        path = http_request.path_params
        named = find(self.parts.models.catalogue, path["model"], path.get("version"))
        sent = await _read(body, http_request.headers.get(LENGTH_HEADER), held)
        asked = asked_in(sent.parameters, raw.EVERYTHING if named.is_raw else Options())
        refuse_useless(named.record, asked.given)
        images = await _images(named, sent, held)
        outcomes = await self._ask(named, images, asked, http_request)
        return await _written(named, sent, outcomes, accepted(http_request.headers.get("accept-encoding", "")))

    async def _ask(
        self, named: NamedModel, images: Sequence[Image], asked: Asked, http_request: HttpRequest
    ) -> list[Answered]:
        """The answers to all images. Raises the error of the first that has none: the protocol knows no others."""
        deadline_s = min(self.parts.settings.deadline_s, asked.timeout_s or self.parts.settings.deadline_s)
        origin = origin_of(http_request)
        requests = [Request(image, asked.options, deadline_s, None, *origin) for image in images]
        clock = asyncio.get_running_loop().time
        began_at_s = clock()
        outcomes = await self.parts.models.ask_all(named.record, requests)
        self.statistics.note(named, outcomes, clock() - began_at_s)
        return [_good(outcome, number, len(outcomes)) for number, outcome in enumerate(outcomes)]


def _good(outcome: Outcome, number: int, of: int) -> Answered:
    if isinstance(outcome, ServingError):
        raise outcome if of == 1 else type(outcome)(f"image {number} of {of}: {outcome.message}")
    return outcome


async def _read(body: bytes | bytearray, length_header: str | None, held: HeldBytes) -> InferRequest:
    view = memoryview(body)
    json_bytes = len(body) if length_header is None else length_in(length_header)
    if json_bytes is None or json_bytes > len(body):
        raise InvalidRequest(
            f"{LENGTH_HEADER} must be 0 to {len(body)}, the bytes of the body, got {(length_header or '')[:50]!r}"
        )
    if length_header is not None and json_bytes == 0:
        held.grow(len(body))
        return _whole_body(view)
    text = body if json_bytes == len(body) else bytes(view[:json_bytes])
    if json_bytes < _IN_THREAD_FROM_BYTES:
        held.grow(needed_bytes(text))
        return read_envelope(text, view[json_bytes:])
    # Not in the thread, which may go on when the request is over and its bytes are given back.
    held.grow(await asyncio.to_thread(needed_bytes, text))
    return await asyncio.to_thread(read_envelope, text, view[json_bytes:])


def _whole_body(view: memoryview) -> InferRequest:
    element = len(view).to_bytes(LENGTH_BYTES, "little") + bytes(view)
    return InferRequest("", {}, [InputTensor(IMAGE, BYTES, (1,), memoryview(element))], None, False)


async def _images(named: NamedModel, sent: InferRequest, held: HeldBytes) -> list[Image]:
    if named.is_raw:
        held.grow(raw.needed_bytes(sent.inputs))
        return await asyncio.to_thread(lambda: list(raw.pixels_in(sent.inputs)))
    if any(isinstance(one.data, list) for one in sent.inputs):
        return await asyncio.to_thread(images_in, sent.inputs)
    return images_in(sent.inputs)


async def _written(named: NamedModel, sent: InferRequest, outcomes: Sequence[Answered], encoding: str) -> Response:
    def write() -> Response:
        members = {"model_name": named.name, "model_version": _version(named, outcomes)}
        if sent.id:
            members["id"] = sent.id
        return _response(sent, members, _outputs(named, sent, outcomes), encoding)

    # Masks are drawn, and rows of many classes are megabytes.
    is_slow = named.is_raw or encoding or any(_has_masks(one) for one in outcomes)
    return await asyncio.to_thread(write) if is_slow else write()


def _version(named: NamedModel, outcomes: Sequence[Answered]) -> str:
    """That of whoever answered, perhaps a candidate; several where they differ."""
    answered = dict.fromkeys(one.revision for one in outcomes if isinstance(one, Prediction))
    return ", ".join(answered) or named.version


def _has_masks(outcome: Answered) -> bool:
    return isinstance(outcome, Prediction) and getattr(outcome.result, "masks", None) is not None


def _outputs(named: NamedModel, sent: InferRequest, outcomes: Sequence[Answered]) -> list[OutputTensor]:
    if not named.is_raw:
        return outputs_of(outcomes, sent.wanted)
    predictions = [one for one in outcomes if isinstance(one, Prediction)]
    labels = named.record.definition.labels or ()
    return picked({raw.OUTPUT: lambda: raw.rows_of(predictions, labels)}, sent.wanted)


def _response(
    sent: InferRequest, document: Mapping[str, str], outputs: Sequence[OutputTensor], encoding: str
) -> Response:
    """document: its members beside the outputs."""
    binary_by_name = {one.name: one.is_binary for one in sent.wanted or ()}
    members: list[dict[str, Any]] = []
    contents: list[bytes] = []
    for output in outputs:
        if binary_by_name.get(output.name, sent.is_binary):
            described, content = output.in_bytes()
            contents.append(content)
        else:
            described = output.in_json()
        members.append(described)
    text = orjson.dumps({**document, "outputs": members}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers, media_type, body = {"Vary": "Accept-Encoding"}, "application/json", text
    if any(one.get("parameters") for one in members):
        headers[LENGTH_HEADER] = str(len(text))
        media_type, body = "application/octet-stream", b"".join([text, *contents])
    if encoding:
        headers["Content-Encoding"] = encoding
        body = compressed(body, encoding)
    return Response(body, media_type=media_type, headers=headers)
