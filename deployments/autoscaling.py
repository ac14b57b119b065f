"""The autoscaling policies that a configuration may name: `deployments.autoscaling:images_where_there_is_room`.

Ray Serve pickles the module of a policy by value, anew for each model and each look at the configuration. So there is
nothing in this one: what it calls is imported where it runs, once, and all models share one board.
"""

from typing import Any

from deployments.scaling import policies
from deployments.scaling.reports import Context


def images_in_work(context: Context) -> tuple[float, dict[str, Any]]:
    """Replicas so that each has `target_ongoing_requests` images in work or waiting, whether or not there is room
    for them: for a cluster that grows when something waits for a place."""
    return policies.replicas_for(context, needs_room=False), {}


def images_where_there_is_room(context: Context) -> tuple[float, dict[str, Any]]:
    """The same, but a second replica, or a further one, is asked for only where there is room for it: see
    `scaling/spare.py`."""
    return policies.replicas_for(context, needs_room=True), {}
