"""What goes into a move of a job within Redis, and what comes out. Data only."""

import time
from dataclasses import dataclass, field
from enum import IntEnum

from redis_bridge.keys import Slot
from redis_bridge.store.retry_records import RetryRecord
from redis_bridge.wire.json_fields import Payload


@dataclass(frozen=True, slots=True)
class Reserved:
    """A job that lies in one of our slots. payload: its text.  fingerprint: where its record stands.
    record: what is remembered of it; None for a job that has never been in trouble."""

    slot: Slot
    payload: Payload
    fingerprint: str
    record: RetryRecord | None


@dataclass(frozen=True, slots=True)
class Lease:
    """Where a job is and what is remembered of it: enough to bring it out of its slot."""

    slot: Slot
    fingerprint: str
    record: RetryRecord | None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is to find. key: where it waits."""

    lease: Lease
    key: str
    text: bytes


class AckResult(IntEnum):
    """How an answer ended. DOUBLED: written, but somebody else had taken the job over.
    KEY_IS_TAKEN: not written and the job still in its slot, as something else stands under the key."""

    DOUBLED = 0
    ONCE = 1
    KEY_IS_TAKEN = -1


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Why a job was given up. job_id: None when it has none that may be used.  time_s: Unix time, when it was."""

    job_id: str | None
    code: str
    message: str
    size_bytes: int
    time_s: float = field(default_factory=lambda: round(time.time(), 3))


@dataclass(frozen=True, slots=True)
class DeadLetterResult:
    """How a burial ended. is_done: it is a dead letter; otherwise somebody else had taken the job over.
    is_answered: its client finds the answer.  dropped_letter: the number of an older letter whose job was dropped
    for this one, 0 for none."""

    is_done: bool
    is_answered: bool
    dropped_letter: int
