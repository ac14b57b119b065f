"""What the running system's own report says, in words for people. Pure functions of the JSON that Ray's dashboard
answers to GET /api/serve/applications/.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deployments.error_text import cause_in, has_traceback

Details = dict[str, Any]

_FAILED = {"DEPLOY_FAILED", "UNHEALTHY"}


@dataclass(frozen=True, slots=True)
class ApplicationState:
    """One application as Ray Serve reports it."""

    name: str
    status: str

    reason: str = ""
    """One line without traceback; '' when all is well."""

    replicas: int = 0
    """How many are running."""

    @property
    def is_healthy(self) -> bool:
        """Whether it runs as configured."""
        return self.status == "RUNNING"

    @property
    def has_failed(self) -> bool:
        """Whether it is useless to wait longer."""
        return self.status in _FAILED


def application_states(details: Details) -> dict[str, ApplicationState]:
    """Name -> state of every application of the running system."""
    return {name: _state(name, report) for name, report in details.get("applications", {}).items()}


def proxies_are_healthy(details: Details) -> bool:
    """Whether HTTP requests reach the system: at least one proxy, and all of them healthy."""
    statuses = [proxy.get("status") for proxy in (details.get("proxies") or {}).values()]
    return bool(statuses) and all(status == "HEALTHY" for status in statuses)


def submission(details: Details) -> Details:
    """What has to be submitted to leave the running system exactly as it is.

    Ray Serve reports the configuration of each application as it was submitted, so that submitting it again
    changes nothing. Applications on their way out are left out.
    """
    kept = ("proxy_location", "http_options", "grpc_options", "target_capacity")
    document = {key: details[key] for key in kept if details.get(key) is not None}
    reports = details.get("applications", {}).values()
    configs = [report.get("deployed_app_config") for report in reports if report.get("status") != "DELETING"]
    return {**document, "applications": [config for config in configs if config is not None]}


def names(document: Mapping[str, Any]) -> list[str]:
    """The names of the applications of a system document."""
    return [str(app.get("name", "default")) for app in document["applications"]]


def table(states: Iterable[ApplicationState]) -> str:
    """One line per application: name, status, replicas, reason."""
    rows = sorted(states, key=lambda state: state.name)
    width = max((len(row.name) for row in rows), default=0)
    lines = [
        f"{row.name:<{width}}  {row.status:<13} {row.replicas} running" + (f"  {row.reason}" if row.reason else "")
        for row in rows
    ]
    return "\n".join(lines) or "no application is running"


def _state(name: str, report: Details) -> ApplicationState:
    deployments = report.get("deployments", {}).values()
    replicas = [replica for deployment in deployments for replica in deployment.get("replicas", [])]
    status = str(report.get("status", "NOT_STARTED"))
    messages = [report.get("message") or "", *(one.get("message") or "" for one in deployments)]
    telling = next((text for text in messages if has_traceback(text)), None)
    message = telling or next((text for text in messages if text), "")
    return ApplicationState(
        name=name,
        status=status,
        reason="" if status == "RUNNING" else cause_in(message),
        replicas=sum(replica.get("state") == "RUNNING" for replica in replicas),
    )
