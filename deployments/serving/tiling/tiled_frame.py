"""One large image on its way through a model, tile by tile.

The tiles go through the same batcher as the images of others, a few at a time: images that come later wait for two
batches at most and not for all tiles, and only the canvases of these tiles are held in memory.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidRequest
from deployments.families.contract import Family, Outputs, Prepared, Thresholds
from deployments.prediction import Detections, Timings
from deployments.prediction.masks import MAX_RUNS
from deployments.prediction.placed_masks import coarser
from deployments.serving.batching.batch_items import Batched
from deployments.serving.request_state import Watch
from deployments.serving.tiling.merging import joined, merge
from deployments.serving.tiling.tiles import Tile

R = TypeVar("R")

GROUPS_AT_ONCE = 2
"""One group of tiles is prepared while the one before it is inferred."""

HELD_RUNS = 4 * MAX_RUNS
"""Run lengths of the masks of all tiles, 8 MB, each tile with its share. The answer has a quarter of them at most."""

Submit = Callable[[NDArray[np.uint8], float], Awaitable[Batched[Outputs]]]
"""What gives a canvas to the batcher, with the time on the monotonic clock after which it is not run."""

Found = list[tuple[Tile, Detections]]


@dataclass(frozen=True, slots=True)
class TiledFrame:
    """pixels: RGB uint8 (height, width, 3).  expires_at_s: on the monotonic clock.  asked_for: the option by which it
    is cut, for messages."""

    pixels: NDArray[np.uint8]
    tiles: Sequence[Tile]
    thresholds: Thresholds
    expires_at_s: float
    asked_for: str = "tiling"


@dataclass(frozen=True, slots=True)
class TiledModel:
    """The parts of a replica that a tiled frame needs. group_size: tiles that are handed on together."""

    family: Family[Any]
    threads: Executor
    submit: Submit
    group_size: int
    watch: Watch = nullcontext

    async def look_at(self, frame: TiledFrame) -> tuple[Detections, Timings]:
        """The detections of all tiles in pixels of the frame, merged, and where the time went.

        The first tile that fails ends all others and its error is raised; so does cancelling. Raises
        InvalidRequest when the model is not a detector.
        """
        work = _FrameWork(self, frame)
        turns = asyncio.Semaphore(GROUPS_AT_ONCE)
        groups = [
            frame.tiles[start : start + self.group_size] for start in range(0, len(frame.tiles), self.group_size)
        ]
        began_at_s = time.monotonic()
        try:
            async with asyncio.TaskGroup() as tasks:
                under_way = [tasks.create_task(work.find(group, turns)) for group in groups]
        except ExceptionGroup as failed:
            raise _first(failed) from None
        found = [part for task in under_way for part in task.result()]
        inferred_at_s = time.monotonic()
        size_px = frame.pixels.shape[0], frame.pixels.shape[1]
        # A single region is complete as the family has answered it, which need not be thinned out by overlap.
        if len(found) > 1:
            merged = await work.in_thread(merge, found, size_px, frame.thresholds)
        else:
            merged = await work.in_thread(joined, found, size_px)
        wait_s = min(batched.wait_s for batched in work.batches)
        return merged, Timings(
            wait_s=wait_s,
            inference_s=inferred_at_s - began_at_s - wait_s,
            postprocess_s=time.monotonic() - inferred_at_s,
            batch_size=max(batched.batch_size for batched in work.batches),
        )


class _FrameWork:
    """The work on one frame."""

    def __init__(self, model: TiledModel, frame: TiledFrame) -> None:
        self.batches: list[Batched[Outputs]] = []
        self._model = model
        self._frame = frame

    async def in_thread(self, step: Callable[..., R], *arguments: Any) -> R:
        """The result of `step`, which runs in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._model.threads, self._watched, step, *arguments)

    def _watched(self, step: Callable[..., R], *arguments: Any) -> R:
        with self._model.watch():
            return step(*arguments)

    async def find(self, group: Sequence[Tile], turns: asyncio.Semaphore) -> Found:
        """What is found in the tiles of `group`, in pixels of each tile."""
        async with turns:
            prepared = await self.in_thread(self._prepare, group)
            async with asyncio.TaskGroup() as tasks:
                waiting = [tasks.create_task(self._submit(one)) for one in prepared]
            batches = [task.result() for task in waiting]
            self.batches += batches
            return await self.in_thread(self._finish, group, prepared, batches)

    def _prepare(self, group: Sequence[Tile]) -> list[Prepared[Any]]:
        return [self._model.family.preprocess(tile.cut(self._frame.pixels)) for tile in group]

    async def _submit(self, one: Prepared[Any]) -> Batched[Outputs]:
        return await self._model.submit(one.canvas, self._frame.expires_at_s)

    def _finish(
        self, group: Sequence[Tile], prepared: Sequence[Prepared[Any]], batches: Sequence[Batched[Outputs]]
    ) -> Found:
        found: Found = []
        for tile, one, batched in zip(group, prepared, batches, strict=True):
            result = self._model.family.postprocess(batched.result, one.geometry, self._frame.thresholds)
            if not isinstance(result, Detections):
                raise InvalidRequest(
                    f"{self._frame.asked_for}: this model answers {result.what} and no boxes; only detectors can"
                )
            if result.masks is not None:
                most = min(MAX_RUNS, HELD_RUNS // len(self._frame.tiles))
                result = replace(result, masks=coarser(result.masks, most))
            found.append((tile, result))
        return found


def _first(failed: ExceptionGroup[Exception]) -> Exception:
    error: Exception = failed
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
