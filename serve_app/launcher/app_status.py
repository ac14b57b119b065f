"""What the running system's own report says, in words for people. Pure functions of the JSON that Ray's dashboard
answers to GET /api/serve/applications/.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployments.text.error_text import cause_in, tells_error

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

    is_tried_again: bool = False
    """Whether a replica has failed to start, for this reason, and Ray Serve tries again."""

    is_asleep: bool = False
    """Whether it has no replica because nobody asks it. Ray Serve calls that running, too."""

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


def proxies_are_everywhere(details: Details) -> bool:
    """Whether each node that runs a replica also has a healthy HTTP proxy, where every node is to have one."""
    if details.get("proxy_location") != "EveryNode":
        return True
    healthy = {node for node, proxy in (details.get("proxies") or {}).items() if proxy.get("status") == "HEALTHY"}
    return {replica.get("node_id") for _, replica in _running_replicas(details)} <= healthy


def proxy_hosts(details: Details) -> list[str]:
    """The addresses of the nodes whose HTTP proxy is healthy, the head first, as it comes first in the report."""
    proxies = (details.get("proxies") or {}).values()
    return [proxy["node_ip"] for proxy in proxies if proxy.get("status") == "HEALTHY" and proxy.get("node_ip")]


def node_table(nodes: Iterable[Details], details: Details) -> str:
    """One line per node of the cluster: address, state, what it has, and the replicas that run on it. A dead node is
    left out when another lives at its address."""
    living = {node["node_ip"] for node in nodes if node["state"] == "ALIVE"}
    shown = [node for node in nodes if node["state"] == "ALIVE" or node["node_ip"] not in living]
    rows = {(node["node_ip"], node["state"]): node for node in shown}
    return "\n".join(_node_line(node, details) for node in rows.values())


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
    return "\n".join(_line(row, width) for row in rows) or "no application is running"


def _line(state: ApplicationState, width: int) -> str:
    status, reason = ("ASLEEP", "woken by a request") if state.is_asleep else (state.status, state.reason)
    return f"{state.name:<{width}}  {status:<13} {state.replicas} running" + (f"  {reason}" if reason else "")


def _node_line(node: Details, details: Details) -> str:
    parts = [_node_duties(node, details)] if node["state"] == "ALIVE" else []
    parts += [node["state_message"]] if node.get("state_message") else []
    return f"{node['node_ip']:<15}  {node['state']:<5}  {'; '.join(parts)}"


def _node_duties(node: Details, details: Details) -> str:
    """What a living node has and does."""
    has = node.get("resources_total") or {}
    parts = [f"{has[kind]:g} {kind}" for kind in ("CPU", "GPU") if has.get(kind)]
    if not has.get("CPU"):
        parts.insert(0, "no CPU for replicas")
    if node.get("is_head_node"):
        parts.insert(0, "head")
    counts = Counter(name for name, one in _running_replicas(details) if one.get("node_id") == node["node_id"])
    running = ", ".join(f"{name} x{count}" if count > 1 else name for name, count in sorted(counts.items()))
    parts.append(f"runs {running or 'nothing'}")
    if node["node_id"] in (details.get("proxies") or {}):
        parts.append(f"proxy {details['proxies'][node['node_id']].get('status')}")
    return "; ".join(parts)


def _running_replicas(details: Details) -> Iterator[tuple[str, Details]]:
    """Application and report of every replica that runs."""
    for name, report in details.get("applications", {}).items():
        for deployment in report.get("deployments", {}).values():
            yield from ((name, one) for one in deployment.get("replicas", []) if one.get("state") == "RUNNING")


def _wanted_replicas(deployment: Details) -> int:
    """How many Serve wants to run now; one where it does not say."""
    wanted: int | None = deployment.get("target_num_replicas")
    return 1 if wanted is None else wanted


def _state(name: str, report: Details) -> ApplicationState:
    deployments = report.get("deployments", {}).values()
    replicas = [replica for deployment in deployments for replica in deployment.get("replicas", [])]
    status = str(report.get("status", "NOT_STARTED"))
    messages = [report.get("message") or "", *(one.get("message") or "" for one in deployments)]
    telling = next((text for text in messages if tells_error(text)), None)
    message = telling or next((text for text in messages if text), "")
    running = sum(replica.get("state") == "RUNNING" for replica in replicas)
    return ApplicationState(
        name=name,
        status=status,
        reason="" if status == "RUNNING" else cause_in(message),
        replicas=running,
        is_tried_again=telling is not None and not running and status not in _FAILED and status != "RUNNING",
        is_asleep=status == "RUNNING" and bool(deployments) and not any(map(_wanted_replicas, deployments)),
    )
