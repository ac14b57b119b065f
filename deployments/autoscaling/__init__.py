"""How many replicas a model has, and which one gives way when there are fewer places than models.

    policies -> board -> spare, view -> places
    reports: what replicas report.  cluster: asks Ray, for the board.

Runs inside Ray Serve's controller, once for each model in each round of its loop. A configuration names a policy as
`deployments.autoscaling:images_where_there_is_room`.
"""

from deployments.autoscaling.policies import images_in_work, images_where_there_is_room
from deployments.autoscaling.reports import (
    IMAGES_IN_WORK,
    IMAGES_WAITING_ELSEWHERE,
    SECONDS_IDLE,
    SPARE_MEMORY_COPIES,
    Context,
)

__all__ = [
    "IMAGES_IN_WORK",
    "IMAGES_WAITING_ELSEWHERE",
    "SECONDS_IDLE",
    "SPARE_MEMORY_COPIES",
    "Context",
    "images_in_work",
    "images_where_there_is_room",
]
