"""What keeps a system from running on a cluster that is joined: found before anything is submitted, by node.

A job of Ray looks at the nodes (`inspection`), so that the launcher itself may run on any machine that reaches the
dashboard.
"""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.definition import MODEL_IMPORT_PATH, ModelDefinition
from deployments.weights.settings import DEFAULT_FOLDER, WeightsSettings, name_of
from serve_app.launcher.cluster.inspection import MARK, look
from serve_app.launcher.cluster.replica_settings import is_secret
from serve_app.launcher.configuration.ray_variables import REDIS_URL
from serve_app.launcher.console import LaunchError
from serve_app.launcher.dashboard_client import RunningSystem

JOB_TIMEOUT_S = 240.0
PACKAGES = ("deployments", "redis_bridge", "serve_app")

Nodes = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Checked:
    """What the launcher has to know of the nodes."""

    has_redis: bool
    """Whether the bridge will find the address of a Redis, from here or from its node."""


def check_nodes(document: Mapping[str, Any], system: RunningSystem, environ: Mapping[str, str]) -> Checked:
    """Looks at all nodes that can run replicas. Raises LaunchError with one line for each thing that a node lacks."""
    url = environ.get(REDIS_URL.name, "")
    nodes = inspected(document, system, environ)
    problems = [*node_problems(nodes, _own_code())]
    if any(str(one.get("import_path")).startswith("redis_bridge.") for one in document["applications"]):
        problems += redis_problems(nodes, url)
    if problems:
        raise LaunchError(problems)
    return Checked(has_redis=bool(url) or any(node["redis"] for node in nodes))


def inspected(document: Mapping[str, Any], system: RunningSystem, environ: Mapping[str, str]) -> Nodes:
    """What each node has. Raises LaunchError where the cluster cannot say."""
    question = {
        "paths": files_of(document, environ),
        "folders": _weights_folders(document, environ),
        "packages": PACKAGES,
    }
    program = f"python -m serve_app.launcher.cluster.inspection {shlex.quote(json.dumps(question))}"
    said = system.run_job(program, JOB_TIMEOUT_S)
    line = next((line for line in said.splitlines() if line.startswith(MARK)), None)
    if line is None:
        last = (said.strip().splitlines() or ["it said nothing"])[-1][:300]
        raise LaunchError(
            f"the nodes of the cluster could not be looked at: {last}; does its head have this software?"
        )
    nodes: Nodes = json.loads(line.removeprefix(MARK))
    if not nodes:
        raise LaunchError("no node of the cluster has a CPU for replicas")
    return nodes


def files_of(document: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """The files that every node must have, as a replica opens them: those of models, and the file of API keys."""
    keys = environ.get("FATHOM_API_KEYS_FILE")
    sources = [one.weights_source.uri if one.weights_source else str(one.weights or "") for one in _models(document)]
    of_models = {uri.removeprefix("file://") for uri in sources if uri and (uri[:7] == "file://" or ":" not in uri)}
    return sorted(of_models | ({keys} if keys else set()))


def node_problems(nodes: Nodes, code: str) -> Iterator[str]:
    """One line for each thing that a node lacks, whatever Redis is used. code: digest of the launcher's own."""
    for node in nodes:
        name = f"node {node['node']}"
        if "error" in node:
            yield f"{name}: did not answer ({node['error']})"
        elif not node["code"]:
            yield f"{name}: this software is not installed there"
        elif node["code"] != code:
            yield f"{name}: has another version of this software; install the same on all nodes"
        else:
            for path in node["missing"]:
                yield f"{name}: {path} is not there (seen from {node['at']}); copy it to the same place on every node"
            if node["closed"]:
                yield f"{name}: {node['closed']} cannot be written, so weights cannot be kept; set FATHOM_WEIGHTS_DIR"


def redis_problems(nodes: Nodes, url: str) -> Iterator[str]:
    """One line for each node that would not find Redis, or another one. url: REDIS_URL of the launcher."""
    if url and not is_secret(url):
        return
    lacking = [node["node"] for node in nodes if not node["redis"]]
    if url and lacking:
        yield (
            f"nodes without REDIS_URL: {', '.join(lacking)}; it holds a password, which Ray would show if it were "
            "sent along: set it where each node is started"
        )
    elif 0 < len(lacking) < len(nodes):
        yield f"nodes without REDIS_URL, while others have it: {', '.join(lacking)}"
    elif lacking and len(nodes) > 1:
        yield f"REDIS_URL is not set, and the embedded Valkey is for one node: this cluster has {len(nodes)}"
    if len({node["redis"] for node in nodes} - {0}) > 1:
        yield "the nodes have different addresses in REDIS_URL"


def _models(document: Mapping[str, Any]) -> list[ModelDefinition]:
    applications = document["applications"]
    return [ModelDefinition.model_validate(one["args"]) for one in applications if _is_model(one)]


def _is_model(application: Mapping[str, Any]) -> bool:
    return application.get("import_path") == MODEL_IMPORT_PATH and "args" in application


def _weights_folders(document: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    """Where weights are to be written, as `look` takes it; empty when none are fetched."""
    settings = WeightsSettings.from_environment(environ)
    if settings.offline or not any(one.weights_source for one in _models(document)):
        return []
    given = environ.get(name_of("dir"))
    return [*([given] if given else []), str(DEFAULT_FOLDER)]


def _own_code() -> str:
    code: str = look([], [], list(PACKAGES))["code"]
    return code
