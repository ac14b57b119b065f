"""Puts the prepared images of a replica through its batcher, whole or in tiles."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelKnobs
from deployments.errors import InternalError, ServingError
from deployments.families.contract import Outputs
from deployments.logs import OWN_LOGGER
from deployments.origin import about
from deployments.prediction import Outcome
from deployments.serving.admission import Admission
from deployments.serving.batching.batch_policy import AdaptiveBatchPolicy
from deployments.serving.batching.batch_runs import BatchRuns
from deployments.serving.batching.micro_batcher import MicroBatcher
from deployments.serving.loaded_model import LoadedModel
from deployments.serving.metrics import Meter
from deployments.serving.request_state import BatchedImage, CutImage, PreparedImage
from deployments.serving.tiling.tiled_frame import TiledFrame, TiledModel
from deployments.serving.watched_threads import WatchedThreads
from deployments.watching.watch import current

logger = logging.getLogger(OWN_LOGGER)


class Inference:
    """threads: where tiles are cut, preprocessed and postprocessed."""

    def __init__(
        self, model: LoadedModel, runs: BatchRuns, threads: WatchedThreads, admission: Admission, meter: Meter
    ) -> None:
        self._model = model
        self._runs = runs
        self._threads = threads
        self._admission = admission
        self._meter = meter
        self._policy = AdaptiveBatchPolicy(model.batch_limit)
        self._batcher: MicroBatcher[NDArray[np.uint8], Outputs] | None = None

    def set_knobs(self, knobs: ModelKnobs) -> None:
        """Puts new live knobs to use, which the model must have already."""
        self._policy.largest = self._model.batch_limit
        self._policy.target_s = None if knobs.latency_target_ms is None else knobs.latency_target_ms / 1000
        if self._batcher is not None:
            self._batcher.max_waiting = knobs.max_waiting_images

    async def infer_each(self, images: list[PreparedImage | CutImage], until_s: float) -> list[BatchedImage]:
        """Those that are to be postprocessed; all others have an outcome. until_s: on the monotonic clock; one batch
        that hangs must not hold up the others of a group."""
        if not images:
            return []
        if len(images) == 1:
            inferred = [await self._infer(images[0])]
        else:
            inferring = [asyncio.ensure_future(self._infer(one)) for one in images]
            try:
                done, _ = await asyncio.wait(inferring, timeout=max(until_s - time.monotonic(), 0.0))
            finally:
                for task in inferring:
                    task.cancel()
            for one, task in zip(images, inferring, strict=True):
                if task not in done:
                    one.received.end_late()
            inferred = [task.result() for task in inferring if task in done]
        return [one for one in inferred if one is not None]

    def look_again(self) -> None:
        """Images are held up now: a batch must not wait any longer."""
        self._open_batcher().look_again()

    def check(self) -> None:
        """Raises RuntimeError when nothing is batched any more, for a health check."""
        if self._batcher is not None:
            self._batcher.check()

    async def close(self) -> None:
        """Stops batching, without waiting for what is stuck."""
        if self._batcher is not None:
            await self._batcher.close()
        self._runs.close()

    async def _infer(self, image: PreparedImage | CutImage) -> BatchedImage | None:
        """None: the request has its outcome."""
        if isinstance(image, CutImage):
            image.end(await self._outcome_of_tiles(image))
            return None
        try:
            batched = await self._open_batcher().submit(
                image.prepared.canvas, image.received.expires_at_s, image.origin
            )
        except ServingError as error:
            image.end(error)
            return None
        return BatchedImage(image, batched)

    async def _outcome_of_tiles(self, image: CutImage) -> Outcome:
        extra = len(image.tiles) - 1
        if extra > self._admission.room:
            return self._admission.overloaded(f", and this image is cut into {len(image.tiles)}")
        model, threads = self._model, self._threads
        submit = partial(self._open_batcher().submit, origin=image.origin)
        tiled = TiledModel(model.family, threads.executor, submit, model.batch_limit, threads.watch_tiles)
        self._admission.in_work += extra
        try:
            received = image.received
            options = received.request.options
            asked_for = "tiling" if options.regions is None else "regions"
            thresholds = model.thresholds(options)
            frame = TiledFrame(received.room.pixels, image.tiles, thresholds, received.expires_at_s, asked_for)
            found, timings = await tiled.look_at(frame)
        except ServingError as error:
            return error
        except Exception:
            logger.exception("a tiled request failed unexpectedly", extra=about([image.origin]))
            return InternalError("the model failed on this image")
        finally:
            self._admission.in_work -= extra
        return model.prediction(image, found, replace(timings, decode_s=image.decode_s))

    def _open_batcher(self) -> MicroBatcher[NDArray[np.uint8], Outputs]:
        # Made at the first request: the batcher belongs to the event loop that serves, which is not yet known
        # when the model is loaded in a thread.
        if self._batcher is None:
            self._batcher = MicroBatcher(
                self._run_batch,
                self._policy,
                self._admission.limit,
                may_wait=lambda: not self._admission.held_up,
                is_side_by_side=self._runs.is_side_by_side,
            )
            self._batcher.on_batch_end = self._runs.note
            if (watch := current()) is not None:
                self._batcher.around_batch = partial(watch.batch, self._model.name)
        return self._batcher

    async def _run_batch(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        self._meter.batch(len(canvases), self._admission.in_work)
        self._meter.batch_policy(self._policy.limit(0), self._policy.max_wait_s)
        return await self._runs.run(canvases)
