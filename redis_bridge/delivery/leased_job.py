"""A job that this bridge holds, from its slot to its end. Data only."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from redis_bridge.client.in_flight_bytes import ByteReservation, InFlightBytes
from redis_bridge.store.leases import Lease, Reserved
from redis_bridge.store.retry_records import RetryRecord
from redis_bridge.wire.job_format import Job
from redis_bridge.wire.json_fields import Payload


class LeasedJob:
    """budget: of all jobs in flight.  texts: of those of its queue that are not read yet.

    payload: the job's text, until it is read.  job: what was read.  asked: set when a suspect is put to its model.
    has_place: it takes one of its queue's places.  is_aside: it waits in its slot for its model.
    is_over: it has left its slot, or was left in it because Redis is away."""

    __slots__ = (
        "_fingerprint",
        "_slot",
        "asked",
        "done_list",
        "has_place",
        "hold",
        "is_aside",
        "is_over",
        "job",
        "job_id",
        "payload",
        "record",
        "size_bytes",
        "taken_at_s",
        "text_hold",
    )

    def __init__(self, reserved: Reserved, budget: InFlightBytes, texts: InFlightBytes) -> None:
        self._slot = reserved.slot
        self._fingerprint = reserved.fingerprint
        self.record = reserved.record
        self.payload: Payload | None = reserved.payload
        self.size_bytes = len(reserved.payload)
        self.hold = ByteReservation(budget, self.size_bytes)
        self.text_hold = ByteReservation(texts, self.size_bytes)
        self.job: Job | None = None
        self.job_id: str | None = None
        self.done_list: str | None = None
        self.is_aside = False
        self.is_over = False
        self.has_place = True
        self.asked = asyncio.Event()
        self.taken_at_s = time.perf_counter()

    @property
    def lease(self) -> Lease:
        """Where it lies, with what is remembered of it now."""
        return Lease(self._slot, self._fingerprint, self.record)

    @property
    def is_suspect(self) -> bool:
        """Whether it was in flight when a bridge died."""
        return self.record is not None and self.record.is_suspect

    @property
    def tries(self) -> int:
        """Tries that failed so far."""
        return self.record.tries if self.record else 0

    @property
    def is_kept_apart(self) -> bool:
        """Whether no other job may be on trial beside it."""
        return self.record is not None and self.record.is_apart

    def remember(self, now_s: float, failed: bool = False) -> None:
        """From now on it has a record, with one more failed try if it `failed`. now_s: the time for a first one."""
        record = self.record or RetryRecord(0, now_s)
        self.record = record.failed() if failed else record

    def clear(self) -> None:
        """Its bridge has survived it: it is no suspect any more."""
        if self.record is not None:
            self.record = replace(self.record, is_suspect=False, is_apart=False)


Ended = Callable[[list[LeasedJob], str], None]
"""Told once of every job: those that ended together, and what became of them."""
