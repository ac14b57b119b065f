"""Decides how many replicas a model needs, by images and not by calls. Runs inside Ray Serve's controller.

A call may carry many images (`coalescing.py`), so that Serve's own count of ongoing requests says little. Each
replica reports the images that it has in work; what still waits in callers' queues is added. Serve applies the
bounds, the delays and the start from zero.
"""

import math
from typing import Any, Protocol

IMAGES_IN_WORK = "images_in_work"
"""The metric that every replica reports."""


class _Target(Protocol):
    def get_target_ongoing_requests(self) -> float: ...


class Context(Protocol):
    """What this policy reads of Ray Serve's AutoscalingContext."""

    config: _Target
    total_num_requests: float
    total_queued_requests: float
    aggregated_metrics: dict[str, dict[Any, float]] | None


def images_in_work(context: Context) -> tuple[float, dict[str, Any]]:
    """Replicas so that each has `target_ongoing_requests` images in work; no state is kept between calls."""
    reported = (context.aggregated_metrics or {}).get(IMAGES_IN_WORK, {})
    images = math.fsum(reported.values()) + context.total_queued_requests
    # A replica that has not reported yet still holds one image for each call.
    images = max(images, context.total_num_requests)
    return images / context.config.get_target_ongoing_requests(), {}
