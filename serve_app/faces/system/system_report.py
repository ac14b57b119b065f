"""What `GET /v1/system` says: the models and what this door asks of them. Pure.

All of it is known already when the route is asked: the bridge tells the doors every few seconds how many jobs wait.
What only the replicas know (images waiting inside a replica) is in `/metrics`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deployments.byte_budget import ByteBudget
from deployments.catalogue import ModelRecord
from serve_app.activity import Activity
from serve_app.faces.system.readiness import Signs, readiness


@dataclass(frozen=True, slots=True)
class DoorWork:
    """What this door has in work. uploads: the memory of uploads under way."""

    activity: Activity
    uploads: ByteBudget


def system_report(
    records: Sequence[ModelRecord], unhealthy: Mapping[str, str], signs: Signs, work: DoorWork
) -> dict[str, Any]:
    """The body of the answer. unhealthy: applications that are not models and do not run -> reason."""
    activity = work.activity
    activity.forget_others(record.name for record in records)
    return {
        **readiness(records, unhealthy, signs),
        "models": [_model(record, activity) for record in records],
        "redis": None if signs.gateway is None else _redis(signs.gateway, signs),
        "uploads": {"held_bytes": work.uploads.held_bytes, "limit_bytes": work.uploads.limit_bytes},
        "seen_before_s": round(signs.view_age_s, 1),
    }


def _redis(application: str, signs: Signs) -> dict[str, Any]:
    waiting = signs.waiting_jobs
    queues = None if waiting is None else [{"queue": name, "waiting": waiting[name]} for name in sorted(waiting)]
    return {"application": application, "reason": signs.gateway_reason, "queues": queues}


def _model(record: ModelRecord, activity: Activity) -> dict[str, Any]:
    known = activity.of(record.name)
    return {
        "name": record.name,
        "queues": list(record.definition.queues),
        "external": record.is_external,
        "state": record.state.value,
        "reason": record.reason,
        "last_failure": record.last_failure,
        "replicas": record.replicas,
        "in_work": known.in_work,
        "answered": known.answered,
        "failed": known.failed,
        "images_per_s": round(known.images_per_s(activity.clock()), 3),
        "last_error": None if known.last_error is None else asdict(known.last_error),
    }
