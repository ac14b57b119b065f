"""Takes the jobs of one queue, as many as may be in flight, while its model can answer. Knows no wire.

One consumer for each queue, so that no queue starves another; within a queue small jobs are taken together.
"""

import asyncio
import time

from deployments.definition import ModelRecord
from redis_bridge import metrics
from redis_bridge.client.connection import REDIS_ERRORS, Backoff, pause
from redis_bridge.client.in_flight_bytes import ByteReservation, InFlightBytes
from redis_bridge.delivery.admission import ConcurrencyLimit
from redis_bridge.delivery.circuit_breaker import NO_LIMIT
from redis_bridge.delivery.context import Door, Signals
from redis_bridge.delivery.leased_job import LeasedJob
from redis_bridge.delivery.processing import Processing
from redis_bridge.delivery.queue_age import QueueAge
from redis_bridge.delivery.settlement import GIVEN_BACK, SET_ASIDE
from redis_bridge.store.leases import Reserved

LOOK_S = 0.1

PATIENCE_S = 0.005
"""How long jobs may wait for company while most places are taken."""

LARGE_JOB_BYTES = 256 * 1024
"""Jobs from this size on are read one by one, each in a thread and straight into its place."""

QUICK_FACTOR = 3
"""So many times the slots are used while the model is quick, one group for each time: one is in the model, the next
read, the one before answered, and still nobody waits for long."""

GROUP_BYTES = 2 * 2**20
"""Texts of small jobs that are taken together."""

LARGE_GROUP_BYTES = 48 * 2**20
"""Texts of large jobs that wait already and are put to the model together: it takes a moment to read each, and a
remote call costs as much as half of one. No more are added from here on."""

UNREAD_BYTES = 2 * LARGE_GROUP_BYTES
"""Texts of one queue that are not read yet: one group is read while the next comes from Redis. More would only fill
fresh memory, which costs as much as receiving them."""


class Consumer:
    """The jobs of `queue`, from `start` to `stop`."""

    def __init__(self, queue: str, door: Door) -> None:
        self._queue = queue
        self._door = door
        self._signals = Signals()
        self._work = Processing(queue, door, self._signals, self._is_given_up, self._on_ended)
        self._places = ConcurrencyLimit(door.settings.slots_per_queue)
        self._unread = InFlightBytes(UNREAD_BYTES)
        self._are_small = True
        self._running: set[asyncio.Task[None]] = set()
        self._taking: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._are_routed = door.settings.profile_of(queue).model_field is not None
        self._could_answer_at_s = time.monotonic()
        self._backoff = Backoff()
        self._rest_until_s = 0.0
        self._is_swept = False
        self._count = 0
        self._left = 0
        self._age = QueueAge()

    @property
    def in_flight(self) -> int:
        """Jobs held now."""
        return self._count

    @property
    def set_aside(self) -> int:
        """Of these, the jobs that wait for the models that they name."""
        return self._work.aside.count

    @property
    def is_finished(self) -> bool:
        """Whether the model is gone for good and nobody waits any more: the consumer may be stopped."""
        return self._is_swept and not self._count

    def oldest_s(self, waiting: int) -> float:
        """How long the oldest of the `waiting` jobs has waited, as far as this bridge has seen; see QueueAge."""
        return self._age.look(time.monotonic(), waiting, self._left)

    def start(self) -> None:
        """Begins to take jobs, in the background."""
        loop = asyncio.get_running_loop()
        self._taking = loop.create_task(self._take_jobs(), name=f"consumer {self._queue}")
        if self._are_routed:
            self._keeping = loop.create_task(self._work.aside.keep(self._signals), name=f"set aside {self._queue}")

    def check(self) -> None:
        """Raises RuntimeError when the consumer has died, for a health check."""
        for task in (self._taking, self._keeping):
            if task is not None and task.done() and not self._signals.stop.is_set():
                raise RuntimeError(f"the consumer of queue {self._queue} is dead") from task.exception()

    async def stop(self, drain_s: float) -> None:
        """Takes nothing more; gives jobs in flight `drain_s` seconds to finish, and the rest back."""
        self._signals.stop.set()
        if self._taking is not None:
            await asyncio.wait({self._taking})
        if self._running:
            await asyncio.wait(self._running, timeout=drain_s)
        self._signals.abandon.set()
        if self._running:
            await asyncio.wait(self._running)
        if self._keeping is not None:
            await asyncio.wait({self._keeping})
        await self._work.aside.give_all_back()

    async def _take_jobs(self) -> None:
        while not self._signals.stop.is_set():
            if not self._may_take():
                await pause(LOOK_S, self._signals.stop)
                continue
            await self._signals.unless_stopped(self._door.in_flight.wait_for_room())
            await self._signals.unless_stopped(self._unread.wait_for_room())
            self._places.count = self._most_in_flight
            free = await self._signals.unless_stopped(self._places.wait_for_some(PATIENCE_S))
            if free is None or self._signals.stop.is_set():
                return
            if self._may_take():
                await self._take_some(free)

    async def _take_some(self, free: int) -> None:
        group = await self._reserve(free)
        if not group:
            self._is_swept = self._is_swept or self._is_departed()
            return
        self._are_small = all(held.size_bytes < LARGE_JOB_BYTES for held in group)
        self._places.take(len(group))
        self._count += len(group)
        self._left += len(group)
        task = asyncio.get_running_loop().create_task(self._work.run(group))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _reserve(self, free: int) -> list[LeasedJob]:
        """Jobs that wait, at most half as many as there are places, or a third while the model is quick, so that some
        are read while others are in the model; where none wait, the next one that comes."""
        # As the places were counted: the model may have become quick meanwhile.
        parts = QUICK_FACTOR if self._places.count > self._door.settings.slots_per_queue else 2
        most = min(free, -(-self._places.count // parts), self._work.most_together(), self._room)
        group: list[LeasedJob] = []
        try:
            await (self._take_small(most, group) if self._are_small else self._take_large(most, group))
            if not group:
                group += self._held(await self._door.jobs.reserve_next(self._queue))
        except REDIS_ERRORS as error:
            self._door.note_trouble(f"queue {self._queue} could not be read", error)
            self._rest()
        return group

    async def _take_small(self, most: int, group: list[LeasedJob]) -> None:
        budget = self._door.in_flight
        # Room for them is held before they are here, as other queues ask at the same time.
        most_bytes = max(1, min(GROUP_BYTES, budget.room_bytes))
        hold = ByteReservation(budget, most_bytes)
        try:
            taken = await self._door.jobs.reserve(self._queue, most, most_bytes)
        finally:
            hold.release()
        group += self._held(taken)

    async def _take_large(self, most: int, group: list[LeasedJob]) -> None:
        """One after the other; those in `group` are kept when a later one meets trouble."""
        room_bytes = LARGE_GROUP_BYTES
        while len(group) < most and room_bytes > 0 and not self._signals.stop.is_set():
            taken = self._held(await self._door.jobs.reserve_large(self._queue))
            group += taken
            if not taken or taken[0].size_bytes < LARGE_JOB_BYTES or not self._door.in_flight.room_bytes:
                return
            room_bytes -= taken[0].size_bytes

    def _held(self, taken: list[Reserved]) -> list[LeasedJob]:
        return [LeasedJob(reserved, self._door.in_flight, self._unread) for reserved in taken]

    @property
    def _most_in_flight(self) -> int:
        slots = self._door.settings.slots_per_queue
        return QUICK_FACTOR * slots if self._work.is_quick else slots

    def _on_ended(self, jobs: list[LeasedJob], outcome: str) -> None:
        placed = [held for held in jobs if held.has_place]
        for held in placed:
            held.has_place = False
        self._places.release(len(placed))
        if outcome == SET_ASIDE:
            return
        self._count -= len(jobs)
        if outcome == GIVEN_BACK:
            self._left -= len(jobs)
            if placed and not self._is_paced():
                self._rest()
        else:
            self._backoff.reset()
        self._door.recorder.record(metrics.JOBS, len(jobs), self._queue, outcome)
        self._door.recorder.record(metrics.JOB_SECONDS, time.perf_counter() - jobs[0].taken_at_s, self._queue)

    def _may_take(self) -> bool:
        if self._can_answer():
            self._is_swept = False
        is_ready = self._door.presence.is_sure and time.monotonic() >= self._rest_until_s
        return is_ready and not self._is_swept and self._room > 0

    @property
    def _room(self) -> int:
        """How many jobs may be taken for what the queue's model may be given now; any number to be told that it is
        given up."""
        if self._is_given_up():
            return NO_LIMIT
        model = self._door.model_of(self._queue)
        if model is None or self._are_routed:
            return NO_LIMIT if model else 0
        breaker = self._door.breakers.of(model.name)
        # One that is paused is tried with one job, when all that it had before have come back.
        return breaker.room if model.can_answer and not (breaker.is_paused and self._count) else 0

    def _can_answer(self) -> bool:
        model = self._door.model_of(self._queue)
        if model is None or not (self._are_routed or self._is_fed(model)):
            return False
        self._could_answer_at_s = time.monotonic()
        return True

    def _is_fed(self, model: ModelRecord) -> bool:
        return model.can_answer and not self._door.breakers.of(model.name).is_paused

    def _is_paced(self) -> bool:
        """Whether the breaker of the model says when the next job is taken."""
        model = self._door.model_of(self._queue)
        if model is None or self._are_routed:
            return False
        breaker = self._door.breakers.of(model.name)
        return breaker.is_limited and not breaker.room

    def _is_given_up(self) -> bool:
        """Whether the model has been away for so long that those who wait are told so."""
        if self._can_answer() or self._is_tried():
            return False
        return time.monotonic() - self._could_answer_at_s >= self._door.settings.give_up_after_s

    def _is_tried(self) -> bool:
        """Whether the next job, or one that is in the model, tells whether it still fails everything."""
        model = self._door.model_of(self._queue)
        return model is not None and model.can_answer and self._door.breakers.of(model.name).is_tried

    def _is_departed(self) -> bool:
        return self._door.model_of(self._queue) is None and self._is_given_up()

    def _rest(self) -> None:
        self._rest_until_s = time.monotonic() + self._backoff.next_s()
