"""One loaded model that answers requests: decode and preprocess in threads, infer in batches, postprocess in
threads, so that decoding overlaps inference. Knows neither Ray nor any door; `app.py` puts it on Ray Serve.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.batching import MicroBatcher
from deployments.definition import ModelDefinition, ModelKnobs
from deployments.errors import DeadlineExceeded, InternalError, Overloaded, ServingError
from deployments.families import FAMILIES, load_family
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.images import ImageLimits, to_pixels
from deployments.metrics import Meter
from deployments.prediction import Outcome, Prediction, Timings
from deployments.request import Image, Options, Request
from deployments.runtimes import Resources, batch_sizes_up_to, load_runtime

logger = logging.getLogger(__name__)

DECODE_THREADS = 2
"""Two keep one core busy with decoding while another infers; more only fight over the interpreter."""


class Replica:
    """Loads the model when constructed: slow, and complete. All batch sizes are compiled when it returns.

    Raises ModelUnavailable when weights, labels and definition disagree.
    """

    def __init__(self, name: str, definition: ModelDefinition, resources: Resources, meter: Meter) -> None:
        self._name = name
        self._definition = definition
        self._meter = meter
        self._knobs = ModelKnobs()
        self._limits = ImageLimits()
        self._family = load_family(definition)
        self._runtime = load_runtime(FAMILIES[definition.family].runtime, resources)
        self._runtime.load(self._family, batch_sizes_up_to(definition.largest_batch))
        self._inference_thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._decode_threads = ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix="decode")
        self._batcher: MicroBatcher[NDArray[np.uint8], Outputs] | None = None
        self._admitted = 0

    def set_knobs(self, knobs: ModelKnobs) -> None:
        """Puts new live knobs to use; requests under way finish with whichever they meet."""
        self._knobs = knobs
        if self._batcher is not None:
            self._batcher.limit = self._batch_limit()

    async def predict(self, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome for each request, in order; a request fails alone, as a value."""
        arrived_at_s = time.monotonic()
        if len(requests) == 1:
            return [await self._answer(requests[0], arrived_at_s)]
        return list(await asyncio.gather(*(self._answer(request, arrived_at_s) for request in requests)))

    @property
    def images_in_work(self) -> int:
        """Images taken in and not answered yet."""
        return self._admitted

    def check_health(self) -> None:
        """Raises RuntimeError when this replica can no longer answer."""
        if self._batcher is not None:
            self._batcher.check()

    async def close(self) -> None:
        """Stops batching and gives the threads back."""
        if self._batcher is not None:
            await self._batcher.close()
        self._decode_threads.shutdown(wait=False, cancel_futures=True)
        self._inference_thread.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, request: Request, arrived_at_s: float) -> Outcome:
        outcome: Outcome
        try:
            outcome = await self._admit(request, arrived_at_s)
        except ServingError as error:
            outcome = error
        except Exception:
            logger.exception("a request failed unexpectedly")
            outcome = InternalError("the model failed on this image")
        self._meter.answered(outcome, time.monotonic() - arrived_at_s)
        return outcome

    async def _admit(self, request: Request, arrived_at_s: float) -> Prediction:
        if self._admitted >= self._knobs.max_waiting_images:
            raise Overloaded(
                f"{self._name} has {self._admitted} images in work, the limit is {self._knobs.max_waiting_images}"
            )
        self._admitted += 1
        self._meter.waiting_images(self._admitted)
        try:
            return await self._infer(request, arrived_at_s + request.deadline_s)
        finally:
            self._admitted -= 1
            self._meter.waiting_images(self._admitted)

    async def _infer(self, request: Request, expires_at_s: float) -> Prediction:
        decode_s, (prepared, size_px) = await self._timed(partial(self._prepare, request.image, expires_at_s))
        batched = await self._open_batcher().submit(prepared.canvas, expires_at_s)
        finish = partial(
            self._family.postprocess, batched.result, prepared.geometry, self._thresholds(request.options)
        )
        postprocess_s, result = await self._timed(finish)
        timings = Timings(decode_s, batched.wait_s, batched.run_s, postprocess_s, batched.batch_size)
        return Prediction(result, size_px, self._name, self._definition.revision, timings)

    async def _timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        started_at_s = time.monotonic()
        result = await asyncio.get_running_loop().run_in_executor(self._decode_threads, work)
        return time.monotonic() - started_at_s, result

    def _prepare(self, image: Image, expires_at_s: float) -> tuple[Prepared, tuple[int, int]]:
        if time.monotonic() >= expires_at_s:
            raise DeadlineExceeded("the time was over before the image was decoded")
        pixels = to_pixels(image, self._limits)
        height, width = pixels.shape[:2]
        return self._family.preprocess(pixels), (height, width)

    def _thresholds(self, options: Options) -> Thresholds:
        knobs = self._knobs
        score, iou, most = options.score_threshold, options.iou_threshold, options.max_detections
        return Thresholds(
            score_threshold=knobs.score_threshold if score is None else score,
            iou_threshold=knobs.iou_threshold if iou is None else iou,
            max_detections=knobs.max_detections if most is None else most,
            classes=options.classes,
        )

    def _batch_limit(self) -> int:
        return min(self._knobs.batch_limit or self._definition.largest_batch, self._definition.largest_batch)

    def _open_batcher(self) -> MicroBatcher[NDArray[np.uint8], Outputs]:
        # Made at the first request: the batcher belongs to the event loop that serves, which is not yet known
        # when the model is loaded in a thread.
        if self._batcher is None:
            self._batcher = MicroBatcher(self._run_batch, self._batch_limit(), self._knobs.max_waiting_images)
        return self._batcher

    async def _run_batch(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        loop = asyncio.get_running_loop()
        self._meter.batch(len(canvases))
        return await loop.run_in_executor(self._inference_thread, self._runtime.infer, canvases)
