"""What the bridge measures: names, tags, and the protocol that the rest of it reports to.

Ray puts `ray_` before each name and adds application, deployment and replica.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. tags: label names, none of which a client can make unbounded."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    description: str
    tags: tuple[str, ...]


JOBS = Metric(
    "fathom_redis_jobs_total",
    "counter",
    "Jobs whose lease ended here; outcome: ok, given-back, taken-over, left-in-slot, or the code of the error.",
    ("queue", "outcome"),
)
JOB_SECONDS = Metric(
    "fathom_redis_job_seconds",
    "histogram",
    "From the lease of a job to its end, in seconds; one observation for jobs that ended together.",
    ("queue",),
)
DECODE_SECONDS = Metric(
    "fathom_redis_decode_seconds",
    "histogram",
    "Decoding the payloads of jobs leased together, in seconds, waiting for a thread included.",
    ("queue",),
)
MODEL_SECONDS = Metric("fathom_redis_model_seconds", "histogram", "One attempt in the model, in seconds.", ("queue",))
SETTLE_SECONDS = Metric(
    "fathom_redis_settle_seconds", "histogram", "Writing answers and releasing their leases, in seconds.", ("queue",)
)
DOUBLES = Metric(
    "fathom_redis_doubles_total",
    "counter",
    "Jobs answered here although another bridge had reclaimed their leases, and so answered twice.",
    ("queue",),
)
QUEUE_DEPTH = Metric("fathom_redis_queue_depth", "gauge", "Jobs that wait in Redis.", ("queue",))
OLDEST_JOB_SECONDS = Metric(
    "fathom_redis_oldest_job_seconds", "gauge", "How long the oldest waiting job was seen to wait.", ("queue",)
)
IN_FLIGHT = Metric("fathom_redis_in_flight", "gauge", "Jobs that this bridge holds.", ("queue",))
IN_FLIGHT_BYTES = Metric("fathom_redis_in_flight_bytes", "gauge", "Bytes of all jobs that this bridge holds.", ())
DEAD_LETTERS = Metric(
    "fathom_redis_dead_letters_total", "counter", "Jobs put on the dead-letter list.", ("queue", "code")
)
DROPPED_LETTERS = Metric(
    "fathom_redis_dropped_dead_letters_total",
    "counter",
    "Dead letters whose payloads were dropped, for newer ones or as too large; queue: of the newest one.",
    ("queue",),
)
PAUSED = Metric("fathom_redis_paused", "gauge", "1 while a model gets no jobs because it fails them all.", ("model",))
PARKED = Metric(
    "fathom_redis_set_aside",
    "gauge",
    "Jobs that are parked until the models that they name answer.",
    ("queue",),
)
RECLAIMED = Metric(
    "fathom_redis_taken_over_total", "counter", "Leases of dead bridges that were reclaimed.", ("queue",)
)
ERRORS = Metric("fathom_redis_errors_total", "counter", "Redis commands that failed and were retried.", ())
EXTERNAL_JOBS = Metric(
    "fathom_redis_external_jobs_total",
    "counter",
    "Requests for external workers; outcome: ok, or the code of the error that was answered.",
    ("queue", "outcome"),
)
EXTERNAL_SECONDS = Metric(
    "fathom_redis_external_seconds",
    "histogram",
    "One request for an external worker, from its arrival to its answer, in seconds.",
    ("queue",),
)

ALL_METRICS = (
    JOBS,
    JOB_SECONDS,
    DECODE_SECONDS,
    MODEL_SECONDS,
    SETTLE_SECONDS,
    DOUBLES,
    QUEUE_DEPTH,
    OLDEST_JOB_SECONDS,
    IN_FLIGHT,
    IN_FLIGHT_BYTES,
    DEAD_LETTERS,
    DROPPED_LETTERS,
    PAUSED,
    PARKED,
    RECLAIMED,
    ERRORS,
    EXTERNAL_JOBS,
    EXTERNAL_SECONDS,
)


class Recorder(Protocol):
    """Takes measurements; called once for jobs that go together, as a call costs as much as reading a
    small job. tags: in the order of `metric.tags`."""

    def record(self, metric: Metric, value: float, *tags: str) -> None:
        """Adds to a counter, sets a gauge, or observes into a histogram."""
        ...


class NoRecorder:
    """Forgets everything."""

    def record(self, metric: Metric, value: float, *tags: str) -> None:
        """Does nothing."""
