"""What `GET /health/ready` says: whether a request would be answered now, and if not, why. Pure.

It judges what was found out in the background; nothing is asked of the system when the route is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployments.catalogue import ModelRecord, ModelState

CONTROLLER_SILENT_AFTER_S = 15.0
"""A view of the models that is older than this is named; it is refreshed every 2 s, and an answer may take 10 s."""


@dataclass(frozen=True, slots=True)
class Signs:
    """What was found out lately."""

    silent_models: Mapping[str, str] = field(default_factory=dict)
    """Required models that run and do not answer -> reason."""

    gateway: str | None = None
    """The application behind which Redis is; None where the configuration has none."""

    gateway_reason: str = ""
    """Why its queues are not served now; '' when they are."""

    gateway_runs: bool = False
    """Whether it has a replica that runs. One of two that lost its node is no reason: the other serves the queues."""

    waiting_jobs: Mapping[str, int] | None = None
    """Redis queue -> jobs that wait in it; None where that is not known."""

    view_age_s: float = 0.0
    """How old the view of the models is."""

    has_keys_fault: bool = False
    """Whether the file of API keys cannot be used now. What is wrong with it is for the log, not for everybody."""

    door_is_closed: bool = False
    """Whether nobody may call, as that file was never a good one."""


def readiness(records: Sequence[ModelRecord], unhealthy: Mapping[str, str], signs: Signs) -> dict[str, Any]:
    """The body of the answer. `reasons` is empty when the system is ready: all required models answer, and the Redis
    door takes jobs, where there is one. What is not well beside that is listed as degraded.

    unhealthy: applications that are not models and do not run -> reason.
    """
    reasons: list[dict[str, str]] = []
    degraded: list[dict[str, str]] = []
    stale = _stale_view(signs)
    for record in records:
        reason = _reason_of(record, signs, stale)
        if reason is not None:
            entry = {"model": record.name, "state": record.state.value, "reason": reason}
            (reasons if record.definition.required else degraded).append(entry)
    for name, reason in sorted(_with_gateway(unhealthy, signs).items()):
        is_fatal = name == signs.gateway and (bool(signs.gateway_reason) or not signs.gateway_runs)
        (reasons if is_fatal else degraded).append({"application": name, "reason": reason})
    if stale:
        degraded.append({"application": "Serve's controller", "reason": stale})
    if signs.has_keys_fault:
        entry = {"application": "API keys", "reason": "their file cannot be used; the log of the door says why"}
        (reasons if signs.door_is_closed else degraded).append(entry)
    status = "not ready" if reasons else "degraded" if degraded else "ready"
    return {"status": status, "reasons": reasons, "degraded": degraded}


def _reason_of(record: ModelRecord, signs: Signs, stale: str) -> str | None:
    """Why the model could not answer now; None when it could."""
    if not record.can_answer:
        return record.reason
    if record.state is ModelState.ASLEEP and stale:
        return f"nobody would wake it: {stale}"
    return signs.silent_models.get(record.name)


def _with_gateway(unhealthy: Mapping[str, str], signs: Signs) -> dict[str, str]:
    """`unhealthy`, and why the queues are not served. Where the bridge runs, what it says itself comes first."""
    if signs.gateway is None or not signs.gateway_reason:
        return dict(unhealthy)
    own = {signs.gateway: signs.gateway_reason}
    return {**unhealthy, **own} if signs.gateway_runs else {**own, **unhealthy}


def _stale_view(signs: Signs) -> str:
    if signs.view_age_s <= CONTROLLER_SILENT_AFTER_S:
        return ""
    return f"the controller has not answered for {signs.view_age_s:.0f} s, and what is said of the models is as old"
