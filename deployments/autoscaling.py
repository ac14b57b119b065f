"""Decides how many replicas a model needs, by images and not by calls. Runs inside Ray Serve's controller.

A call may carry many images (`client/call_batching.py`), so that Serve's own count of ongoing requests says little.
Each replica reports the images that it has in work. Added to that is what still waits in the queues of its callers,
and what waits in queues that Serve does not see, such as those of Redis (`serving/backlog.py`). Serve applies the
limits, the delays and the start from zero. The first of many waiting jobs brings that about; the replica hears of the
jobs behind it from the same request.
"""

import math
from typing import Any, Protocol

IMAGES_IN_WORK = "images_in_work"
"""The metric that every replica reports."""

IMAGES_WAITING_ELSEWHERE = "images_waiting_elsewhere"
"""The metric with what a replica has heard of such queues, which are the same for all replicas of a model."""


class _Target(Protocol):
    def get_target_ongoing_requests(self) -> float: ...


class Context(Protocol):
    """What this policy reads of Ray Serve's AutoscalingContext."""

    config: _Target
    total_num_requests: float
    total_queued_requests: float
    aggregated_metrics: dict[str, dict[Any, float]] | None


def images_in_work(context: Context) -> tuple[float, dict[str, Any]]:
    """Replicas so that each has `target_ongoing_requests` images in work or waiting; keeps no state."""
    metrics = context.aggregated_metrics or {}
    images = math.fsum(metrics.get(IMAGES_IN_WORK, {}).values()) + context.total_queued_requests
    # A replica that has not reported yet still holds one image for each call.
    images = max(images, context.total_num_requests)
    images += max(metrics.get(IMAGES_WAITING_ELSEWHERE, {}).values(), default=0.0)
    return images / context.config.get_target_ongoing_requests(), {}
