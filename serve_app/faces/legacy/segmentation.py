"""The legacy server's segmenting routes, forwarded to an external worker on `image_queue_sam`.

Decides only what the old web server decided: which of the worker's masks is answered, and in which members. The
worker's answer is `[{"box": [{"w", "h", ..}, ..], "score": [..], "poly": [[[x, y], ..], ..]}]`, one entry a mask.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter
from numpy.typing import NDArray
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.errors import DeadlineExceeded, InternalError, InvalidRequest, ModelNotFound, ServingError
from deployments.external import ExternalRequest, Task
from deployments.images import Encoded, read_header
from deployments.legacy_answer import legacy_rows
from deployments.prediction import Opaque
from deployments.request import Image, Request
from serve_app.faces.legacy.masking import cut_out
from serve_app.faces.legacy.predictor import FORM, Predictor, image_of, options_of
from serve_app.forms import Accepted, Form
from serve_app.uploads import Held

SAM_QUEUE = "image_queue_sam"
SAM_PATHS = ("/sam", "/sam_v2", "/sam_multi", "/sam_multi_v2", "/sam-embed", "/filet_predictor")

MAX_PROMPTS_BYTES = 2**20
"""Of the field `data`, which may hold a point for each of many animals."""

LARGE_PART = 0.7
"""A mask this wide or high, as a part of the image, is taken for the animal that fills the frame."""

FRAMES_AT_ONCE = 2
"""That are decoded. One whose client has left is decoded to its end, and does not count for the budget then."""

AnswerForm = Callable[[Form, Held], Awaitable[Response]]
"""Answers a form whose bytes are held already; what it holds beside them is charged to the same client."""


def sam_router(predictor: Predictor) -> APIRouter:
    """All segmenting routes, each with and without a trailing slash."""
    segmenting = _Segmenting(predictor)
    routes: dict[str, AnswerForm] = {
        "/sam": lambda form, _: segmenting.best(form, Task.SEGMENT),
        "/sam_v2": lambda form, _: segmenting.best(form, Task.SEGMENT_FILE),
        "/sam_multi": lambda form, _: segmenting.all(form, Task.SEGMENT),
        "/sam_multi_v2": lambda form, _: segmenting.all(form, Task.SEGMENT_FILE),
        "/sam-embed": lambda form, _: segmenting.embedding(form),
        "/filet_predictor": segmenting.filet,
    }
    router = APIRouter()
    for path in SAM_PATHS:
        _add(router, path, routes[path], predictor)
        _add(router, path + "/", routes[path], predictor)
    return router


def _add(router: APIRouter, path: str, answer_form: AnswerForm, predictor: Predictor) -> None:
    field = {"/sam-embed": None, "/filet_predictor": "model_type"}.get(path.rstrip("/"), "data")
    # The prompts may come along everywhere, as with the legacy server: many clients send all routes the same form.
    options = FORM.fields if field == "model_type" else frozenset[str]()
    accepted = Accepted(options | {"data"}, MAX_PROMPTS_BYTES)

    async def answer(request: HttpRequest) -> Response:
        return await predictor.respond(request, answer_form, accepted)

    router.add_api_route(path, answer, methods=["POST"], response_class=Response, openapi_extra=_form_with(field))


def _form_with(field: str | None) -> dict[str, Any]:
    properties: dict[str, Any] = {"file": {"type": "string", "format": "binary"}}
    if field:
        properties[field] = {"type": "string"}
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


class _Segmenting:
    """What each route asks, and how it answers. Every method raises ServingError."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._threads = ThreadPoolExecutor(FRAMES_AT_ONCE, thread_name_prefix="frames")

    async def best(self, form: Form, task: Task) -> Response:
        """The worker's answer with only the outline and box of its best mask."""
        answer = _masks_of(await self._ask(task, image_of(form), prompts=_prompts(form)))
        chosen = _best_among(answer[0]["score"], range(len(answer[0]["score"])))
        answer[0] |= {"poly": answer[0]["poly"][chosen], "box": answer[0]["box"][chosen]}
        return _json({"success": True, "predictions": answer})

    async def all(self, form: Form, task: Task) -> Response:
        """The worker's answer as it is."""
        payload = await self._ask(task, image_of(form), prompts=_prompts(form))
        return _json({"success": True, "predictions": orjson.Fragment(payload)})

    async def embedding(self, form: Form) -> Response:
        """The bytes that the worker wrote."""
        payload = await self._ask(Task.EMBED, image_of(form))
        return Response(payload, media_type="application/octet-stream")

    async def filet(self, form: Form, held: Held) -> Response:
        """Cuts out what lies in the middle of the frame and asks a model what it is."""
        record = self._predictor.record_of(form)
        ends_at_s = time.monotonic() + self._predictor.settings.deadline_s
        self._check_worker()
        encoded = read_header(image_of(form))
        # The frame, and the animal that is cut out of it.
        held.grow(2 * encoded.decoded_bytes)
        pixels = await self._decoded(encoded, ends_at_s)
        height, width = pixels.shape[:2]
        middle = [{"x": width // 2, "y": height // 2}]
        asked = self._ask(Task.SEGMENT, Image.from_pixels(pixels), middle, _left_s(ends_at_s))
        masks = _masks_of(await asked)[0]
        chosen = _best_among(masks["score"], _large_ones(masks["box"], height, width))
        outline = masks["poly"][chosen]
        animal = await asyncio.to_thread(cut_out, pixels, outline)
        request = Request(Image.from_pixels(animal), options_of(form.fields), _left_s(ends_at_s))
        outcome = await self._predictor.ask(record, request)
        if isinstance(outcome, ServingError):
            raise outcome
        found = orjson.Fragment(outcome.payload) if isinstance(outcome, Opaque) else legacy_rows(outcome)
        segments = {"poly": outline, "box": masks["box"][chosen]}
        return _json({"success": True, "segments": segments, "predictions": found})

    async def _decoded(self, encoded: Encoded, ends_at_s: float) -> NDArray[np.uint8]:
        decoding = asyncio.get_running_loop().run_in_executor(self._threads, encoded.pixels, ends_at_s)
        try:
            return await asyncio.wait_for(decoding, _left_s(ends_at_s))
        except TimeoutError:
            raise DeadlineExceeded("the time was over before the image was decoded") from None

    async def _ask(self, task: Task, image: Image, prompts: Any = None, deadline_s: float | None = None) -> bytes:
        self._check_worker()
        request = ExternalRequest(task, image, deadline_s or self._predictor.settings.deadline_s, prompts)
        outcome = await self._predictor.ask_external(SAM_QUEUE, request)
        if isinstance(outcome, ServingError):
            raise outcome
        return outcome.payload

    def _check_worker(self) -> None:
        try:
            is_external = self._predictor.catalogue.resolve(SAM_QUEUE).is_external
        except ModelNotFound:
            is_external = False
        if not is_external:
            raise ModelNotFound(f"no external worker is known for queue {SAM_QUEUE}, which segments images")


def _left_s(ends_at_s: float) -> float:
    """Seconds until then. Raises DeadlineExceeded when it is past."""
    left_s = ends_at_s - time.monotonic()
    if left_s <= 0:
        raise DeadlineExceeded("the time of the request is over")
    return left_s


def _prompts(form: Form) -> Any:
    text = form.fields.get("data")
    if text is None:
        raise InvalidRequest("the field 'data' is missing: the prompts, as JSON")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"data must be JSON: {error}, got {text[:50]!r}") from None


def _masks_of(payload: bytes) -> list[dict[str, Any]]:
    """The worker's answer, with at least one mask in it."""
    answer = orjson.loads(payload)
    masks = answer[0] if isinstance(answer, list) and answer and isinstance(answer[0], dict) else {}
    lists = [masks.get(member) for member in ("box", "score", "poly")]
    if not all(isinstance(one, list) for one in lists) or len({len(one or []) for one in lists}) != 1 or not lists[0]:
        shown = payload[:80].decode(errors="backslashreplace")
        raise InternalError(
            f"the external worker of queue {SAM_QUEUE} must answer [{{box, score, poly}}], lists of one length and "
            f"at least one mask, got {shown!r}"
        )
    _check_numbers(masks)
    found: list[dict[str, Any]] = answer
    return found


def _check_numbers(masks: dict[str, Any]) -> None:
    are_numbers = all(isinstance(score, int | float) for score in masks["score"])
    have_sizes = all(
        isinstance(box, dict) and all(isinstance(box.get(side), int | float) for side in "wh") for box in masks["box"]
    )
    if not are_numbers or not have_sizes:
        raise InternalError(
            f"the external worker of queue {SAM_QUEUE} must answer scores that are numbers and boxes with w and h"
        )


def _best_among(scores: list[float], candidates: "range | list[int]") -> int:
    """The index of the highest score, the first of equal ones."""
    return max(candidates, key=lambda index: scores[index])


def _large_ones(boxes: list[dict[str, float]], height: int, width: int) -> list[int]:
    """The indices of masks that fill the frame; of all when none does."""
    large = [
        index for index, box in enumerate(boxes) if box["w"] / width > LARGE_PART or box["h"] / height > LARGE_PART
    ]
    return large or list(range(len(boxes)))


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
