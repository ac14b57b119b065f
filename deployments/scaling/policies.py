"""Decides how many replicas a model needs, by images and not by calls. Runs inside Ray Serve's controller.

A call may carry many images (`client/call_batching.py`), so that Serve's own count of ongoing requests says little.
Each replica reports the images that it has in work. Added to that is what still waits in the queues of its callers,
and what waits in queues that Serve does not see, such as those of Redis (`serving/backlog.py`). Serve applies the
limits, the delays and the start from zero. The first of many waiting jobs brings that about; the replica hears of the
jobs behind it from the same request.

Serve does not ask a policy about a model that is being woken: see `board.py`.
"""

import math

from deployments.scaling.board import Board
from deployments.scaling.cluster import look_at_the_cluster
from deployments.scaling.reports import IMAGES_IN_WORK, IMAGES_WAITING_ELSEWHERE, Context

_BOARD = Board(look_at_the_cluster)
"""One for the controller, and so for all models."""


def replicas_for(context: Context, *, needs_room: bool) -> float:
    """How many replicas the model should have; with `needs_room`, a further one only where there is room for it."""
    return _BOARD.decide(context, _by_images(context), needs_room=needs_room)


def _by_images(context: Context) -> float:
    metrics = context.aggregated_metrics or {}
    images = math.fsum(metrics.get(IMAGES_IN_WORK, {}).values()) + context.total_queued_requests
    # A replica that has not reported yet still holds one image for each call.
    images = max(images, context.total_num_requests)
    images += max(metrics.get(IMAGES_WAITING_ELSEWHERE, {}).values(), default=0.0)
    return float(images / context.config.get_target_ongoing_requests())
