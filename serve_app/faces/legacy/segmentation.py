"""The legacy server's segmenting routes, forwarded to an external worker on `image_queue_sam`.

Decides only what the old web server decided: which of the worker's masks is in the answer, and in which members. The
worker's answer is `[{"box": [{"w", "h", ..}, ..], "score": [..], "poly": [[[x, y], ..], ..]}]`, one entry per mask.
"""

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.errors import DeadlineExceeded, InternalError, InvalidRequest, ModelNotFound, ServingError
from deployments.external import ExternalRequest, Task
from deployments.images import Encoded, read_header
from deployments.legacy_answer import legacy_rows
from deployments.prediction import Opaque
from deployments.process.json_size import has_more_values
from deployments.request import Image, Request
from serve_app.bodies.forms import Form, image_of
from serve_app.faces.legacy.form_options import options_of
from serve_app.faces.legacy.predictor import Predictor

SAM_QUEUE = "image_queue_sam"

LARGE_PART = 0.7
"""A mask this wide or high, as a part of the image, is taken for the animal that fills the frame."""

MARGIN = 0.01
"""The mask grows by this part of the image's width, so that a tight outline does not cost the animal's edge."""

_FAR_PX = 2.0**20
"""Outside any image, and small enough for 32-bit integers."""

MAX_PROMPT_VALUES = 65_536
"""Commas and opening brackets of the prompts, which are read on the event loop: 30 ms at most."""

FRAMES_AT_ONCE = 2
"""Frames that are decoded at once. One whose client has left is decoded to its end, and no longer counts
for the budget."""


class Segmentation:
    """What each route asks, and how it answers. Every method raises ServingError."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._threads = ThreadPoolExecutor(FRAMES_AT_ONCE, thread_name_prefix="frames")

    async def best(self, form: Form, task: Task) -> Response:
        """The worker's answer with only the outline and box of its best mask."""
        answer = _masks_of(await self._ask(self._request(form, task, _prompts(form))))
        chosen = _best_among(answer[0]["score"], range(len(answer[0]["score"])))
        answer[0] |= {"poly": answer[0]["poly"][chosen], "box": answer[0]["box"][chosen]}
        return _json({"success": True, "predictions": answer})

    async def all(self, form: Form, task: Task) -> Response:
        """The worker's answer as it is."""
        payload = await self._ask(self._request(form, task, _prompts(form)))
        return _json({"success": True, "predictions": orjson.Fragment(payload)})

    async def embedding(self, form: Form) -> Response:
        """The bytes that the worker wrote."""
        payload = await self._ask(self._request(form, Task.EMBED))
        return Response(payload, media_type="application/octet-stream")

    async def filet(self, form: Form, held: HeldBytes) -> Response:
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
        asked = ExternalRequest(
            Task.SEGMENT, Image.from_pixels(pixels), _left_s(ends_at_s), prompts=middle, origin=form.origin
        )
        masks = _masks_of(await self._ask(asked))[0]
        chosen = _best_among(masks["score"], _large_ones(masks["box"], height, width))
        outline = masks["poly"][chosen]
        animal = await asyncio.to_thread(cut_out, pixels, outline)
        options = options_of(form.fields)
        request = Request(Image.from_pixels(animal), options, _left_s(ends_at_s), None, *form.origin)
        outcome = await self._predictor.models.ask(record, request)
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
            raise DeadlineExceeded("the deadline passed before the image was decoded") from None

    def _request(self, form: Form, task: Task, prompts: Any = None) -> ExternalRequest:
        return ExternalRequest(task, image_of(form), self._predictor.settings.deadline_s, prompts, form.origin)

    async def _ask(self, request: ExternalRequest) -> bytes:
        self._check_worker()
        outcome = await self._predictor.models.ask_external(SAM_QUEUE, request)
        if isinstance(outcome, ServingError):
            raise outcome
        return outcome.payload

    def _check_worker(self) -> None:
        try:
            is_external = self._predictor.models.catalogue.resolve(SAM_QUEUE).is_external
        except ModelNotFound:
            is_external = False
        if not is_external:
            raise ModelNotFound(f"no external worker is known for queue {SAM_QUEUE}, which segments images")


def _left_s(ends_at_s: float) -> float:
    """Seconds until then. Raises DeadlineExceeded when it is past."""
    left_s = ends_at_s - time.monotonic()
    if left_s <= 0:
        raise DeadlineExceeded("the deadline of the request has passed")
    return left_s


def _prompts(form: Form) -> Any:
    text = form.fields.get("data")
    if text is None:
        raise InvalidRequest("the field 'data' is missing: the prompts, as JSON")
    if has_more_values(text.encode(), MAX_PROMPT_VALUES):
        raise InvalidRequest(
            f"data has more than {MAX_PROMPT_VALUES} commas and opening brackets, which is the limit"
        )
    try:
        prompts = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"data must be JSON: {error}, got {text[:50]!r}") from None
    try:
        orjson.dumps(prompts)  # which reads deeper than anything on the way to the worker writes
    except orjson.JSONEncodeError:
        raise InvalidRequest("data has more than 254 lists and objects within each other") from None
    return prompts


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
    """The indices of the masks that fill the frame; of all masks when none does."""
    large = [
        index for index, box in enumerate(boxes) if box["w"] / width > LARGE_PART or box["h"] / height > LARGE_PART
    ]
    return large or list(range(len(boxes)))


def cut_out(pixels: NDArray[np.uint8], outline: Sequence[Sequence[float]]) -> NDArray[np.uint8]:
    """`pixels` inside `outline` and black outside, as the legacy server cut an animal out of a frame.

    pixels: RGB uint8 (height, width, 3).
    outline: [[x, y], ...] in pixels of the image.
    Raises InternalError for an outline that is not a list of points.
    """
    try:
        corners = np.asarray(outline, np.float64)
    except (TypeError, ValueError):
        corners = np.empty((0, 0))
    if corners.ndim != 2 or corners.shape[1] != 2 or not np.isfinite(corners).all():
        raise InternalError("the outline of an animal must be a list of points [x, y]")
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(np.clip(corners, -_FAR_PX, _FAR_PX)).astype(np.int32)], 255)
    side_px = int(width * MARGIN)
    # For an image below 100 pixels the kernel is empty, which OpenCV takes for one of 3 x 3.
    grown = cv2.dilate(mask, np.ones((side_px, side_px), np.uint8))
    return np.where(grown[:, :, None] == 255, pixels, np.uint8(0))


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
