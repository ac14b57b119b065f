"""What a replica reports for its autoscaling, and what a policy reads of it."""

from typing import Any, Protocol

from deployments.scaling.places import Usage

IMAGES_IN_WORK = "images_in_work"
"""The metric that every replica reports."""

IMAGES_WAITING_ELSEWHERE = "images_waiting_elsewhere"
"""The metric with what a replica has heard of such queues, which are the same for all replicas of a model."""

SECONDS_IDLE = "seconds_idle"
"""The metric with the seconds since a replica last had an image in work; 0 while it has."""

SHARE_BUSY = "share_busy"
"""The metric with the part of the time, 0 to 1, in which a replica had an image in work."""

SPARE_MEMORY_COPIES = "spare_memory_copies"
"""The metric with how many processes as large as the replica's the free memory of its machine holds."""


class Context(Protocol):
    """What a policy reads of Ray Serve's AutoscalingContext."""

    config: Any
    app_name: str | None
    current_num_replicas: int
    target_num_replicas: int
    total_num_requests: float
    total_queued_requests: float
    aggregated_metrics: dict[str, dict[Any, float]] | None
    raw_metrics: dict[str, dict[Any, Any]] | None
    current_time: float | None


def _latest(context: Context, name: str) -> list[tuple[float, float]]:
    """When each replica last reported this metric, in seconds on its machine's clock, and what."""
    series = ((context.raw_metrics or {}).get(name) or {}).values()
    return [(points[-1].timestamp, points[-1].value) for points in series if points]


def usage_of(context: Context, awake_since_s: float, now_s: float) -> Usage:
    """How much a model with a running replica is used, as far as its replicas have reported."""
    idle = _latest(context, SECONDS_IDLE)
    last_used_s = max((reported_s - idle_s for reported_s, idle_s in idle), default=now_s)
    is_busy = context.total_queued_requests > 0 or any(images > 0 for _, images in _latest(context, IMAGES_IN_WORK))
    return Usage(awake_since_s, last_used_s, is_busy)


def memory_copies(context: Context) -> float | None:
    """The fewest that a replica has reported; None when none has."""
    return min((copies for _, copies in _latest(context, SPARE_MEMORY_COPIES)), default=None)
