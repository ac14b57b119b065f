"""Reserves jobs of one queue: small ones together, large ones one by one, or the next one that comes."""

from redis_bridge.admission.limits import ByteReservation, ConcurrencyLimit, InFlightBytes, JobPlace
from redis_bridge.client.connection import REDIS_ERRORS
from redis_bridge.delivery.leased_job import Claims, LeasedJob
from redis_bridge.delivery.served_queue import RedisErrors, ServedQueue
from redis_bridge.store.job_store import JobStore
from redis_bridge.store.leases import Reserved

LARGE_JOB_BYTES = 256 * 1024
"""Jobs from this size on are read one by one, each in a thread and straight into its place."""

GROUP_BYTES = 2 * 2**20
"""Payloads of small jobs that are reserved together."""

LARGE_GROUP_BYTES = 48 * 2**20
"""Payloads of large jobs that wait already and are put to the model together: it takes a moment to read each, and a
remote call costs as much as half of one. No more are added from here on."""

PREFETCH_BYTES = 2 * LARGE_GROUP_BYTES
"""Payloads of one queue that are not decoded yet: one group is decoded while the next comes from Redis. More would
only fill fresh memory, which costs as much as receiving them."""


class JobReserver:
    """Takes leases on jobs. memory: the budget that all queues share."""

    def __init__(
        self,
        queue: ServedQueue,
        jobs: JobStore,
        memory: InFlightBytes,
        limit: ConcurrencyLimit,
        errors: RedisErrors,
    ) -> None:
        self._queue = queue
        self._jobs = jobs
        self._memory = memory
        self._limit = limit
        self._errors = errors
        self._prefetched = InFlightBytes(PREFETCH_BYTES)
        self._are_small = True

    async def wait_for_memory(self) -> None:
        """Waits until there is room for another payload, or for the stop."""
        signals = self._queue.signals
        await signals.unless_stopped(self._memory.wait_for_room())
        await signals.unless_stopped(self._prefetched.wait_for_room())

    async def reserve(self, most: int) -> tuple[list[LeasedJob], bool]:
        """At most `most` jobs that wait; where none wait, the next one that comes. And whether a command failed."""
        group: list[LeasedJob] = []
        has_failed = False
        try:
            await (self._reserve_small(most, group) if self._are_small else self._reserve_large(most, group))
            if not group:
                group += self._leased(await self._jobs.reserve_next(self._queue.name))
        except REDIS_ERRORS as error:
            self._errors.note(f"queue {self._queue.name} could not be read", error)
            has_failed = True
        if group:
            self._are_small = all(leased.size_bytes < LARGE_JOB_BYTES for leased in group)
        return group, has_failed

    async def _reserve_small(self, most: int, group: list[LeasedJob]) -> None:
        # Memory for them is held before they are here, as other queues ask at the same time.
        most_bytes = max(1, min(GROUP_BYTES, self._memory.room_bytes))
        expected = ByteReservation(self._memory, most_bytes)
        try:
            reserved = await self._jobs.reserve(self._queue.name, most, most_bytes)
        finally:
            expected.release()
        group += self._leased(reserved)

    async def _reserve_large(self, most: int, group: list[LeasedJob]) -> None:
        """One after the other; those in `group` are kept when a later one fails."""
        room_bytes = LARGE_GROUP_BYTES
        while len(group) < most and room_bytes > 0 and not self._queue.signals.stop.is_set():
            leased = self._leased(await self._jobs.reserve_large(self._queue.name))
            group += leased
            if not leased or leased[0].size_bytes < LARGE_JOB_BYTES or not self._memory.room_bytes:
                return
            room_bytes -= leased[0].size_bytes

    def _leased(self, reserved: list[Reserved]) -> list[LeasedJob]:
        return [LeasedJob(one, self._claims(len(one.payload))) for one in reserved]

    def _claims(self, size_bytes: int) -> Claims:
        memory = ByteReservation(self._memory, size_bytes)
        return Claims(memory, ByteReservation(self._prefetched, size_bytes), JobPlace(self._limit))
