"""One loaded model that answers requests: decode and preprocess in threads, infer in batches, postprocess in
threads, so that decoding overlaps inference. Knows neither Ray nor any door; `app.py` puts it on Ray Serve.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deployments.backlog import Backlog
from deployments.batching import BATCHES_AT_ONCE, MicroBatcher
from deployments.definition import ModelDefinition, ModelKnobs
from deployments.errors import DeadlineExceeded, InternalError, InvalidRequest, Overloaded, ServingError
from deployments.families import FAMILIES, load_family
from deployments.families.contract import Outputs, Thresholds
from deployments.image_work import Work, do_each, groups_of
from deployments.images import ImageLimits, to_pixels
from deployments.logs import OWN_LOGGER
from deployments.metrics import Meter
from deployments.pace import Pace
from deployments.prediction import Outcome, Prediction, Timings
from deployments.request import Options, Request
from deployments.runtimes import Resources, batch_sizes_up_to, load_runtime
from deployments.tiled_frame import TiledFrame, TiledModel
from deployments.tiling import Tile, cut_into_tiles

logger = logging.getLogger(OWN_LOGGER)

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
        self._inference_threads = ThreadPoolExecutor(BATCHES_AT_ONCE, thread_name_prefix="inference")
        self._decode_threads = ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix="decode")
        self._pace = Pace(definition.largest_batch)
        self._batcher: MicroBatcher[NDArray[np.uint8], Outputs] | None = None
        self._backlog = Backlog()
        self._admitted = 0
        self._held_up = 0
        self._is_side_by_side = resources.is_side_by_side

    def set_knobs(self, knobs: ModelKnobs) -> None:
        """Puts new live knobs to use; requests under way finish with whichever they meet."""
        self._knobs = knobs
        self._pace.largest = self._batch_limit()
        self._pace.target_s = None if knobs.latency_target_ms is None else knobs.latency_target_ms / 1000
        if self._batcher is not None:
            self._batcher.max_waiting = knobs.max_waiting_images

    async def predict(self, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome for each request, in order; a request fails alone, as a value."""
        arrived_at_s = time.monotonic()
        self._backlog.hear(requests)
        work = [Work(request, arrived_at_s + request.deadline_s) for request in requests]
        room = max(self._knobs.max_waiting_images - self._admitted, 0)
        for refused in work[room:]:
            refused.outcome = self._overloaded()
        self._admitted += len(work[:room])
        try:
            groups = groups_of(work[:room])
            await asyncio.gather(*(self._answer(group, len(groups) > 1) for group in groups))
        finally:
            self._admitted -= len(work[:room])
            self._held_up -= sum(one.is_held_up for one in work)
        outcomes = [one.outcome or InternalError("the model gave no answer") for one in work]
        self._meter.answered(outcomes, time.monotonic() - arrived_at_s, self._admitted)
        return outcomes

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in index order, from the definition or the weights."""
        return self._family.labels

    @property
    def images_in_work(self) -> int:
        """Images taken in and not answered yet."""
        return self._admitted

    @property
    def images_waiting_elsewhere(self) -> int:
        """Images that wait for this model in queues of a door, as the door says."""
        return self._backlog.images

    def check_health(self) -> None:
        """Raises RuntimeError when this replica can no longer answer."""
        if self._batcher is not None:
            self._batcher.check()

    async def close(self) -> None:
        """Stops batching and gives the threads back."""
        if self._batcher is not None:
            await self._batcher.close()
        self._decode_threads.shutdown(wait=False, cancel_futures=True)
        self._inference_threads.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, group: list[Work], is_shared: bool) -> None:
        await self._in_thread(self._prepare, group)
        await asyncio.gather(*(self._infer(one) for one in group if one.outcome is None))
        await self._in_thread(self._finish, [one for one in group if one.outcome is None])
        if is_shared:
            for one in group:
                one.is_held_up = True
            self._held_up += len(group)
            self._open_batcher().look_again()

    async def _in_thread(self, step: Callable[[Work], None], group: list[Work]) -> None:
        if group:
            await asyncio.get_running_loop().run_in_executor(self._decode_threads, do_each, step, group)

    def _prepare(self, one: Work) -> None:
        started_at_s = time.monotonic()
        if started_at_s >= one.expires_at_s:
            raise DeadlineExceeded("the time was over before the image was decoded")
        pixels = to_pixels(one.request.image, self._limits)
        one.size_px = pixels.shape[0], pixels.shape[1]
        tiles = self._tiles(one)
        if len(tiles) > 1:
            one.pixels, one.tiles = pixels, tiles
        else:
            one.prepared = self._family.preprocess(pixels)
        one.decode_s = time.monotonic() - started_at_s

    def _tiles(self, one: Work) -> tuple[Tile, ...]:
        tiling = one.request.options.tiling or self._knobs.tiling
        if tiling is None or tiling == "off":
            return ()
        tiles = cut_into_tiles(one.size_px, tiling, self._family.canvas_px)
        most = self._knobs.max_waiting_images
        if len(tiles) > most:
            raise InvalidRequest(
                f"tiling: the image is cut into {len(tiles)} pieces, and {self._name} takes at most {most} images "
                f"at once (max_waiting_images); use larger tiles"
            )
        return tiles

    async def _infer(self, one: Work) -> None:
        if one.pixels is not None:
            await self._infer_tiles(one, one.pixels)
            return
        assert one.prepared is not None
        try:
            one.batched = await self._open_batcher().submit(one.prepared.canvas, one.expires_at_s)
        except ServingError as error:
            one.outcome = error

    async def _infer_tiles(self, one: Work, pixels: NDArray[np.uint8]) -> None:
        extra = len(one.tiles) - 1
        if self._admitted + extra > self._knobs.max_waiting_images:
            one.outcome = self._overloaded(f", and this image is cut into {len(one.tiles)}")
            return
        thresholds = self._thresholds(one.request.options)
        model = TiledModel(self._family, self._decode_threads, self._open_batcher().submit, self._batch_limit())
        self._admitted += extra
        try:
            found, timings = await model.look_at(TiledFrame(pixels, one.tiles, thresholds, one.expires_at_s))
        except ServingError as error:
            one.outcome = error
        except Exception:
            logger.exception("a tiled request failed unexpectedly")
            one.outcome = InternalError("the model failed on this image")
        else:
            timings = replace(timings, decode_s=one.decode_s)
            one.outcome = Prediction(found, one.size_px, self._name, self._definition.revision, timings)
        finally:
            self._admitted -= extra

    def _finish(self, one: Work) -> None:
        assert one.prepared is not None
        assert one.batched is not None
        started_at_s = time.monotonic()
        thresholds = self._thresholds(one.request.options)
        result = self._family.postprocess(one.batched.result, one.prepared.geometry, thresholds)
        timings = Timings(
            decode_s=one.decode_s,
            wait_s=one.batched.wait_s,
            inference_s=one.batched.run_s,
            postprocess_s=time.monotonic() - started_at_s,
            batch_size=one.batched.batch_size,
        )
        one.outcome = Prediction(result, one.size_px, self._name, self._definition.revision, timings)

    def _overloaded(self, also: str = "") -> Overloaded:
        return Overloaded(
            f"{self._name} has {self._admitted} images in work{also}, the limit is {self._knobs.max_waiting_images}"
        )

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
            self._batcher = MicroBatcher(
                self._run_batch,
                self._pace,
                self._knobs.max_waiting_images,
                may_wait=lambda: not self._held_up,
                is_side_by_side=self._is_side_by_side,
            )
        return self._batcher

    async def _run_batch(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        loop = asyncio.get_running_loop()
        self._meter.batch(len(canvases), self._admitted)
        self._meter.pace(self._pace.limit(0), self._pace.patience_s)
        return await loop.run_in_executor(self._inference_threads, self._runtime.infer, canvases)
