"""The stages of a job in this bridge: leased (`LeasedJob`), decoded (`DecodedJob`), and the ways in which it ends.

`processing` chooses an `Ending`, `settlement` carries it out.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from deployments.errors import ServingError
from deployments.origin import Origin, shown_id
from deployments.prediction import Outcome
from redis_bridge.admission.limits import ByteReservation, JobPlace
from redis_bridge.store.leases import Reserved
from redis_bridge.wire.encoding_contract import Payload
from redis_bridge.wire.job_format import Job


class JobState(Enum):
    """How far a leased job has come."""

    IN_WORK = auto()
    PARKED = auto()
    """It waits in its lease until its model answers."""
    OVER = auto()
    """Its lease has ended, or was left to be reclaimed because Redis is away."""


@dataclass(frozen=True, slots=True)
class JobClient:
    """Whom an answer is for, as far as the job says."""

    job_id: str | None = None
    """The key of the answer; None while it is not known, and where nothing may be written."""

    done_list: str | None = None
    """The Redis list on which the client waits for its answer."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a job takes of the bridge while it is in work."""

    memory: ByteReservation
    """Of the budget of all queues: the payload, then the image."""

    prefetched: ByteReservation
    """Of the budget of its queue for payloads that are not decoded yet."""

    place: JobPlace
    """Of its queue's limit of concurrent jobs."""

    def release_memory(self) -> None:
        """The bridge holds neither its payload nor its image any more."""
        self.memory.release()
        self.prefetched.release()


class LeasedJob:
    """A job that this bridge has leased."""

    __slots__ = ("_payload", "claims", "client", "lease", "leased_at_s", "size_bytes", "span", "state")

    def __init__(self, reserved: Reserved, claims: Claims) -> None:
        self._payload: Payload | None = reserved.payload
        self.lease = reserved.lease
        self.claims = claims
        self.client = JobClient()
        self.size_bytes = len(reserved.payload)
        self.span: Any = None
        """Of OpenTelemetry, where the job is traced."""
        self.state = JobState.IN_WORK
        self.leased_at_s = time.perf_counter()

    @property
    def origin(self) -> Origin | None:
        """For logs; None while the id of the job is not known."""
        return Origin(shown_id(self.client.job_id)) if self.client.job_id else None

    def take_payload(self) -> Payload:
        """The payload, which nothing here keeps from now on. Raises RuntimeError when it was taken before."""
        payload, self._payload = self._payload, None
        if payload is None:
            raise RuntimeError(f"the payload in {self.lease.slot.key} has been taken already")
        return payload


@dataclass(frozen=True, slots=True)
class DecodedJob:
    """A leased job that can be put to its model."""

    leased: LeasedJob
    job: Job


@dataclass(frozen=True, slots=True)
class Ack:
    """The clients find their answers, and the leases are released."""

    answered: Sequence[tuple[DecodedJob, Outcome]]


@dataclass(frozen=True, slots=True)
class Refuse:
    """The jobs become dead letters, and their clients find the error."""

    jobs: Sequence[LeasedJob]
    error: ServingError
    tells_client: bool = True


@dataclass(frozen=True, slots=True)
class Requeue:
    """The jobs go back to the head of their queue, or to its end. jobs: oldest first."""

    jobs: Sequence[LeasedJob]
    to_end: bool = False


@dataclass(frozen=True, slots=True)
class Park:
    """The job waits in its lease for `model`, None for its queue's own."""

    job: LeasedJob
    model: str | None


Ending = Ack | Refuse | Requeue | Park
