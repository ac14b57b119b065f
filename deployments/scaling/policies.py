"""Decides how many replicas a model needs, by images and not by calls. Runs inside Ray Serve's controller.

A call may carry many images (`client/call_batching.py`), so that Serve's own count of ongoing requests says little.
Each replica reports the images that it has in work. Added to that is what still waits in the queues of its callers,
and what waits in queues that Serve does not see, such as those of Redis (`serving/backlog.py`). Serve applies the
limits, the delays and the start from zero. The first of many waiting jobs brings that about; the replica hears of the
jobs behind it from the same request.

Images in work say when there are too few replicas, not when there are too many: two that keep up with their load hold
few images, although one alone would not. So none is given up while those that stay would be busy nearly all the time.

Serve does not ask a policy about a model that is being woken: see `board.py`.
"""

import math

from deployments.scaling.board import Board
from deployments.scaling.cluster import look_at_the_cluster
from deployments.scaling.reports import IMAGES_IN_WORK, IMAGES_WAITING_ELSEWHERE, SHARE_BUSY, Context

MOST_BUSY = 0.75
"""The part of the time for which those that stay may be busy, going by how busy all are now. A busy replica may have
room for more, in larger batches; this errs on the side of keeping one."""

_BOARD = Board(look_at_the_cluster)
"""One for the controller, and so for all models."""


def replicas_for(context: Context, *, needs_room: bool) -> float:
    """How many replicas the model should have; with `needs_room`, a further one only where there is room for it."""
    wanted = max(_by_images(context), _kept(context))
    return _BOARD.decide(context, wanted, needs_room=needs_room)


def _by_images(context: Context) -> float:
    metrics = context.aggregated_metrics or {}
    images = math.fsum(metrics.get(IMAGES_IN_WORK, {}).values()) + context.total_queued_requests
    # A replica that has not reported yet still holds one image for each call.
    images = max(images, context.total_num_requests)
    images += max(metrics.get(IMAGES_WAITING_ELSEWHERE, {}).values(), default=0.0)
    return float(images / context.config.get_target_ongoing_requests())


def _kept(context: Context) -> float:
    """So many of those that it has are needed for what it is busy with."""
    busy = math.fsum((context.aggregated_metrics or {}).get(SHARE_BUSY, {}).values())
    return float(min(context.target_num_replicas, math.ceil(busy / MOST_BUSY)))
