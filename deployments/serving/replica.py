"""One loaded model that answers requests: decode and preprocess in threads, infer in batches, postprocess in
threads, so that decoding overlaps inference. Knows neither Ray nor any door; `app.py` puts it on Ray Serve.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition, ModelKnobs
from deployments.errors import DeadlineExceeded, InternalError, InvalidRequest, Overloaded, ServingError
from deployments.families import FAMILIES, load_family
from deployments.families.contract import Outputs, Thresholds
from deployments.logs import OWN_LOGGER
from deployments.prediction import Outcome, Prediction, Timings
from deployments.request import Options, Request
from deployments.runtimes import Resources, batch_sizes_up_to, load_runtime
from deployments.serving.backlog import Backlog
from deployments.serving.batch_policy import Pace
from deployments.serving.batch_runs import BatchRuns, given_up
from deployments.serving.batching import MicroBatcher
from deployments.serving.decoding import Decoding
from deployments.serving.known_classes import KnownClasses
from deployments.serving.metrics import Meter
from deployments.serving.request_state import Work, do_each, groups_of
from deployments.serving.tiled_frame import TiledFrame, TiledModel
from deployments.serving.tiling import Tile, cut_into_tiles
from deployments.serving.watchdog import Watchdog

logger = logging.getLogger(OWN_LOGGER)

DECODE_THREADS = 2
"""Two keep one core busy with decoding while another infers; more only fight over the interpreter."""

RETURN_EARLY_S = 0.25
"""A call waits for its batches until so long before the last of its deadlines, or a tenth of it if that is less, and
returns at half of that with what is done by then: later its caller would have gone, and the ready answers with it."""

_DECODING = "the decoding of an image"


class Replica:
    """Loads the model when constructed: slow, and complete. All batch sizes are compiled when it returns.

    Raises ModelUnavailable when weights, labels and definition disagree.
    """

    def __init__(self, name: str, definition: ModelDefinition, resources: Resources, meter: Meter) -> None:
        self._name = name
        self._definition = definition
        self._meter = meter
        self._knobs = ModelKnobs()
        self._decoding = Decoding(self._knobs.max_decoded_bytes)
        self._family = load_family(definition)
        self._classes = KnownClasses(self._family.labels)
        runtime = load_runtime(FAMILIES[definition.family].runtime, resources)
        runtime.load(self._family, batch_sizes_up_to(definition.largest_batch))
        self._watchdog = Watchdog()
        self._runs = BatchRuns(runtime, self._watchdog, self._family.canvas_px)
        self._decode_threads = ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix="decode")
        self._slow_thread = ThreadPoolExecutor(1, thread_name_prefix="decode-slow")
        self._pace = Pace(definition.largest_batch)
        self._batcher: MicroBatcher[NDArray[np.uint8], Outputs] | None = None
        self._backlog = Backlog()
        self._admitted = 0
        self._held_up = 0
        self._is_side_by_side = resources.is_side_by_side

    def set_knobs(self, knobs: ModelKnobs) -> None:
        """Puts new live knobs to use; requests under way finish with whichever they meet."""
        self._knobs = knobs
        self._decoding.held.set_limit(knobs.max_decoded_bytes)
        self._watchdog.stuck_after_s = knobs.stuck_after_s
        self._watchdog.unhealthy_after_batches = knobs.unhealthy_after_batches
        self._pace.largest = self._batch_limit()
        self._pace.target_s = None if knobs.latency_target_ms is None else knobs.latency_target_ms / 1000
        if self._batcher is not None:
            self._batcher.max_waiting = knobs.max_waiting_images

    async def predict(self, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome for each request, in order; a request fails alone, as a value."""
        if trouble := self._watchdog.trouble:
            return [given_up(trouble)] * len(requests)
        arrived_at_s = time.monotonic()
        self._backlog.hear(requests)
        work = [Work(request, arrived_at_s + request.deadline_s) for request in requests]
        room = max(self._knobs.max_waiting_images - self._admitted, 0)
        for refused in work[room:]:
            refused.outcome = self._overloaded()
        self._admitted += len(work[:room])
        try:
            await self._answer_in_time(work[:room])
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
    def decoded_bytes(self) -> int:
        """Of the pixels that are held now."""
        return self._decoding.held.held_bytes

    @property
    def images_waiting_elsewhere(self) -> int:
        """Images that wait for this model in queues of a door, as the door says."""
        return self._backlog.images

    def check_health(self) -> None:
        """Raises RuntimeError when this replica can no longer answer."""
        self._decoding.check()
        self._watchdog.check()
        if self._batcher is not None:
            self._batcher.check()

    async def close(self) -> None:
        """Stops batching and gives the threads back; what is stuck in one is not waited for."""
        if self._batcher is not None:
            await self._batcher.close()
        self._decode_threads.shutdown(wait=False, cancel_futures=True)
        self._slow_thread.shutdown(wait=False, cancel_futures=True)
        self._runs.close()

    async def _answer_in_time(self, work: list[Work]) -> None:
        """Every one of `work` has its outcome, or the time of all is over."""
        if not work:
            return
        longest_s = max(one.request.deadline_s for one in work)
        early_s = min(RETURN_EARLY_S, longest_s / 10)
        infer_until_s = time.monotonic() + longest_s - early_s
        groups = groups_of(work)
        timer = asyncio.timeout(longest_s - early_s / 2)
        try:
            async with timer:
                if len(groups) == 1:
                    await self._answer(groups[0], infer_until_s, is_shared=False)
                else:
                    await asyncio.gather(*(self._answer(group, infer_until_s, is_shared=True) for group in groups))
        except TimeoutError:
            if not timer.expired():
                raise
            _end_late(work)

    async def _answer(self, group: list[Work], infer_until_s: float, is_shared: bool) -> None:
        try:
            await self._in_thread(self._prepare, group, _DECODING)
            waiting = [one for one in group if one.must_wait]
            if not waiting:
                await self._answer_prepared(group, infer_until_s, is_shared)
                return
            # Each goes its own way: the others neither wait with it, nor hold the room that it waits for.
            ready = [one for one in group if not one.must_wait]
            await asyncio.gather(
                self._answer_prepared(ready, infer_until_s, is_shared=True),
                *(self._answer_in_turn(one, infer_until_s) for one in waiting),
            )
        finally:
            for one in group:
                one.end_decoding()

    async def _answer_in_turn(self, one: Work, infer_until_s: float) -> None:
        threads = self._slow_thread if one.is_slow else self._decode_threads
        try:
            async with self._decoding.turn(one):
                await self._in_thread(self._prepare, [one], _DECODING, threads)
        except ServingError as error:
            one.outcome = error
        await self._answer_prepared([one], infer_until_s, is_shared=True)

    async def _answer_prepared(self, group: list[Work], infer_until_s: float, is_shared: bool) -> None:
        try:
            await self._infer_each([one for one in group if one.outcome is None], infer_until_s)
        finally:
            for one in group:
                one.end_decoding()
        unfinished = [one for one in group if one.outcome is None]
        await self._in_thread(self._finish, unfinished, "the postprocessing of an image")
        if is_shared:
            for one in group:
                one.is_held_up = True
            self._held_up += len(group)
            self._open_batcher().look_again()

    async def _in_thread(
        self, step: Callable[[Work], None], group: list[Work], what: str, threads: Executor | None = None
    ) -> None:
        if group:
            watch = partial(self._watchdog.during, what)
            threads = threads or self._decode_threads
            await asyncio.get_running_loop().run_in_executor(threads, do_each, step, group, watch)

    def _prepare(self, one: Work) -> None:
        started_at_s = time.monotonic()
        if started_at_s >= one.expires_at_s:
            raise DeadlineExceeded("the time was over before the image was decoded")
        self._classes.check(one.request.options.classes)
        one.is_in_thread = True
        try:
            if one.is_decoded:
                raise DeadlineExceeded("nobody waits for this image any more")
            pixels = self._decoding.pixels(one)
            if pixels is None:
                return
            one.size_px = pixels.shape[0], pixels.shape[1]
            tiles = self._tiles(one)
            if len(tiles) > 1:
                one.pixels, one.tiles = pixels, tiles
            else:
                one.prepared = self._family.preprocess(pixels)
        finally:
            one.is_in_thread = False
            if one.pixels is None or one.is_decoded:
                one.drop_pixels()
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

    async def _infer_each(self, group: list[Work], until_s: float) -> None:
        """What has no outputs then has an outcome: one batch that hangs must not hold up the others of a group."""
        if len(group) == 1:
            await self._infer(group[0])
        if len(group) <= 1:
            return
        inferring = [asyncio.ensure_future(self._infer(one)) for one in group]
        try:
            done, _ = await asyncio.wait(inferring, timeout=max(until_s - time.monotonic(), 0.0))
        finally:
            for task in inferring:
                task.cancel()
        for task in done:
            task.result()
        _end_late([one for one in group if one.batched is None])

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
        watch = partial(self._watchdog.during, "a step of an image in tiles")
        submit, most = self._open_batcher().submit, self._batch_limit()
        model = TiledModel(self._family, self._decode_threads, submit, most, watch)
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
            self._batcher.on_batch_end = self._runs.note
        return self._batcher

    async def _run_batch(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        self._meter.batch(len(canvases), self._admitted)
        self._meter.pace(self._pace.limit(0), self._pace.patience_s)
        return await self._runs.run(canvases)


def _end_late(work: list[Work]) -> None:
    for one in work:
        one.outcome = one.outcome or DeadlineExceeded("the time was over before the image was done")
