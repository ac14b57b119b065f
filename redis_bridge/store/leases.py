"""Leases, and what goes into and comes out of the commands that end them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

from redis_bridge.keys import Slot
from redis_bridge.store.retry_records import RetryRecord
from redis_bridge.wire.encoding_contract import Payload


@dataclass(frozen=True, slots=True)
class Lease:
    """A job that a bridge holds: all that is needed to release it."""

    slot: Slot
    """Where the job lies."""

    fingerprint: str
    """Where its retry record stands."""

    record: RetryRecord | None
    """None for a job that has never failed, gone back, or lost its bridge."""

    @property
    def attempts(self) -> int:
        """Attempts that failed so far."""
        return self.record.attempts if self.record else 0

    @property
    def is_suspect(self) -> bool:
        """Whether the job was in flight when a bridge died."""
        return self.record is not None and self.record.is_suspect

    @property
    def is_apart(self) -> bool:
        """Whether no other suspect may be tried beside it."""
        return self.record is not None and self.record.is_apart

    def remembered(self, now_s: float) -> "Lease":
        """With a retry record. now_s: the Unix time for a first one."""
        return self if self.record else replace(self, record=RetryRecord(0, now_s))

    def failed(self, now_s: float) -> "Lease":
        """After one more failed attempt."""
        record = self.record or RetryRecord(0, now_s)
        return replace(self, record=record.failed())

    def survived(self) -> "Lease":
        """After an attempt that did not kill the bridge: the job is not a suspect any more."""
        if self.record is None or not self.is_suspect:
            return self
        return replace(self, record=replace(self.record, is_suspect=False, is_apart=False))


@dataclass(frozen=True, slots=True)
class Reserved:
    """A job of which this bridge has taken the lease."""

    lease: Lease
    payload: Payload


@dataclass(frozen=True, slots=True)
class JobAnswer:
    """What a client is to find under `key`."""

    lease: Lease
    key: str
    text: bytes


class AckResult(IntEnum):
    """What became of an answer."""

    DOUBLED = 0
    """Written, but another bridge had reclaimed the job."""

    ONCE = 1

    KEY_IS_TAKEN = -1
    """Not written and the job still leased, as something that is not an answer stands under the key."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a job was given up."""

    job_id: str | None
    """None when the job has no id that may be used."""

    code: str
    message: str
    size_bytes: int

    time_s: float = field(default_factory=lambda: round(time.time(), 3))
    """Unix time at which it was given up."""


@dataclass(frozen=True, slots=True)
class DeadLetterResult:
    """What became of a job that was given up."""

    is_done: bool
    """It is a dead letter; False when another bridge had reclaimed it."""

    is_answered: bool
    """Its client finds the answer."""

    dropped_letters: Sequence[int]
    """The numbers of letters whose jobs are not kept any more: older ones, or this one where it is too large."""
