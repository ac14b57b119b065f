"""One loaded model that answers requests: decode and preprocess in threads, infer in batches, postprocess in
threads, so that decoding overlaps inference. `app.py` puts it on Ray Serve.
"""

import asyncio
import time
from collections.abc import Sequence

from deployments.definition import ModelDefinition, ModelKnobs
from deployments.errors import InternalError, ServingError
from deployments.families import FAMILIES, load_family
from deployments.prediction import Outcome
from deployments.process.wake_times import WakeTimes
from deployments.request import Request
from deployments.runtimes import Resources, batch_sizes_up_to, load_runtime
from deployments.serving.admission import Admission
from deployments.serving.backlog import Backlog
from deployments.serving.batching.batch_runs import BatchRuns, given_up
from deployments.serving.busy_time import BusyTime
from deployments.serving.decoding import Decoding
from deployments.serving.inference import Inference
from deployments.serving.loaded_model import LoadedModel
from deployments.serving.metrics import Meter
from deployments.serving.request_state import (
    CutImage,
    MustWait,
    PreparedImage,
    Received,
    groups_of,
)
from deployments.serving.watchdog import Watchdog
from deployments.serving.watched_threads import WatchedThreads
from deployments.watching.watch import current

RETURN_EARLY_S = 0.25
"""A call stops waiting for its batches this long before the last of its deadlines, or a tenth of the deadline if that
is less, and returns at half of that with what is done by then. Later its client would be gone, and ready answers
would be lost."""


class Replica:
    """Loads the model when constructed: slow, and complete. All batch sizes are compiled when it returns.

    times: notes what each part costs. Raises ModelUnavailable when weights, labels and definition disagree.
    """

    def __init__(
        self,
        name: str,
        definition: ModelDefinition,
        resources: Resources,
        meter: Meter,
        times: WakeTimes | None = None,
    ) -> None:
        times = times or WakeTimes()
        self._meter = meter
        with times.part("weights"):
            family = load_family(definition)
        self._model = LoadedModel(name, definition, family)
        self._decoding = Decoding(self._model.knobs.max_decoded_bytes)
        with times.part("import"):
            runtime = load_runtime(FAMILIES[definition.family].runtime, resources)
        runtime.load(family, batch_sizes_up_to(definition.largest_batch), times)
        self._watchdog = Watchdog()
        self._threads = WatchedThreads(self._watchdog)
        self._admission = Admission(name, self._model.knobs.max_waiting_images)
        runs = BatchRuns(runtime, self._watchdog, self._model.family.canvas_px, resources.is_side_by_side)
        self._inference = Inference(self._model, runs, self._threads, self._admission, meter)
        self._backlog = Backlog()
        self._watch = current()
        self._busy = BusyTime()

    def set_knobs(self, knobs: ModelKnobs) -> None:
        """Puts new live knobs to use; requests under way finish with whichever they meet."""
        self._model.knobs = knobs
        self._decoding.held.set_limit(knobs.max_decoded_bytes)
        self._watchdog.stuck_after_s = knobs.stuck_after_s
        self._watchdog.unhealthy_after_batches = knobs.unhealthy_after_batches
        self._admission.limit = knobs.max_waiting_images
        self._inference.set_knobs(knobs)

    async def predict(self, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome for each request, in order; a request fails alone, as a value."""
        if reason := self._watchdog.reason:
            return [given_up(reason)] * len(requests)
        arrived_at_s = time.monotonic()
        self._backlog.hear(requests)
        received = [Received(request, arrived_at_s + request.deadline_s) for request in requests]
        room = self._admission.room
        admitted, refused = received[:room], received[room:]
        for one in refused:
            one.end(self._admission.overloaded())
        self._admission.in_work += len(admitted)
        self._busy.note(self._admission.in_work)
        try:
            await self._answer_in_time(admitted)
        finally:
            self._admission.in_work -= len(admitted)
            self._admission.held_up -= sum(one.is_held_up for one in admitted)
            self._busy.note(self._admission.in_work)
        outcomes = [one.outcome or InternalError("the model gave no answer") for one in received]
        call_s = time.monotonic() - arrived_at_s
        self._meter.answered(outcomes, call_s, self._admission.in_work)
        if self._watch is not None:
            self._watch.predicted(self._model.name, (one.origin for one in requests), outcomes, call_s)
        return outcomes

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in index order, from the definition or the weights."""
        return self._model.family.labels

    @property
    def images_in_work(self) -> int:
        """Images taken in and not answered yet."""
        return self._admission.in_work

    @property
    def seconds_idle(self) -> float:
        """Seconds since it last had an image in work; 0 while it has."""
        return self._busy.seconds_idle

    def share_busy(self) -> float:
        """The part of the time since it was last asked, 0 to 1, in which it had an image in work."""
        return self._busy.share()

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
        self._watchdog.check()
        self._inference.check()

    async def close(self) -> None:
        """Stops batching and gives the threads back, without waiting for what is stuck in one."""
        await self._inference.close()
        self._threads.close()

    async def _answer_in_time(self, received: list[Received]) -> None:
        """Every one of them has its outcome, or the time of all is over."""
        if not received:
            return
        longest_s = max(one.request.deadline_s for one in received)
        early_s = min(RETURN_EARLY_S, longest_s / 10)
        infer_until_s = time.monotonic() + longest_s - early_s
        groups = groups_of(received)
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
            for one in received:
                one.end_late()

    async def _answer(self, group: list[Received], infer_until_s: float, is_shared: bool) -> None:
        try:
            stages = await self._threads.decode_each(self._prepare, group)
            waiting = [one for one in stages if isinstance(one, MustWait)]
            images = [one for one in stages if not isinstance(one, MustWait)]
            if not waiting:
                await self._infer_and_finish(group, images, infer_until_s, is_shared)
                return
            # Each that waits goes its own way: the others neither wait with it, nor hold the room that it waits for.
            those = {one.received for one in waiting}
            others = [one for one in group if one not in those]
            await asyncio.gather(
                self._infer_and_finish(others, images, infer_until_s, is_shared=True),
                *(self._answer_in_turn(one, infer_until_s) for one in waiting),
            )
        finally:
            for one in group:
                one.room.end()

    async def _answer_in_turn(self, waiting: MustWait, infer_until_s: float) -> None:
        received = waiting.received
        images: list[PreparedImage | CutImage] = []
        try:
            async with self._decoding.turn(waiting):
                stages = await self._threads.decode_each(self._prepare, [received], waiting.is_slow)
            images = [one for one in stages if not isinstance(one, MustWait)]
        except ServingError as error:
            received.end(error)
        await self._infer_and_finish([received], images, infer_until_s, is_shared=True)

    def _prepare(self, received: Received) -> PreparedImage | CutImage | MustWait:
        return self._model.prepare(received, self._decoding)

    async def _infer_and_finish(
        self, group: list[Received], images: list[PreparedImage | CutImage], infer_until_s: float, is_shared: bool
    ) -> None:
        """images: those of `group` that have no outcome yet."""
        try:
            inferred = await self._inference.infer_each(images, infer_until_s)
        finally:
            for one in group:
                one.room.end()
        await self._threads.postprocess_each(self._model.finish, inferred)
        if is_shared:
            for one in group:
                one.is_held_up = True
            self._admission.held_up += len(group)
            self._inference.look_again()
