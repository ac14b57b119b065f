"""Starts our system as its users do, through the launcher, with a configuration of the shipped shape: the model
is exchanged for the bench's, the ports for free ones of the loopback address, and nothing else.
"""

import copy
import shutil
from pathlib import Path
from typing import Any

import yaml

from benchmarks.load.free_ports import LOOPBACK, free_ports
from benchmarks.machine.started import Started
from benchmarks.models import BenchModel
from benchmarks.systems.contract import Running, Workspace, python, server_environment
from deployments.definition import MODEL_IMPORT_PATH

DOOR_IMPORT_PATH = "serve_app.app:build"


def start(model: BenchModel, workspace: Workspace) -> Running:
    """Both doors, the legacy endpoint, and the embedded Valkey."""
    return start_with(model, workspace, redis_url=None)


def start_fast(model: BenchModel, workspace: Workspace) -> Running:
    """The same, asked at its fastest endpoint."""
    running = start(model, workspace)
    running.path, running.is_raw = workspace.fast_endpoint.format(model=model.name), True
    return running


def start_with(model: BenchModel, workspace: Workspace, redis_url: str | None) -> Running:
    """Both doors. redis_url: a Redis server to use instead of the embedded one."""
    http, dashboard, redis = free_ports(3)
    config = workspace.folder / f"ours-{model.name}.yaml"
    config.write_text(yaml.safe_dump(bench_config(workspace.base_config, model), sort_keys=False), "utf-8")
    # A short name, as sockets lie below it; emptied, as a start must not find what an earlier one left.
    data = workspace.scratch / "d"
    shutil.rmtree(data, ignore_errors=True)
    environ = {
        **server_environment(model),
        "FATHOM_HTTP_HOST": LOOPBACK,
        "FATHOM_HTTP_PORT": f"{http}",
        "FATHOM_DASHBOARD_PORT": f"{dashboard}",
        "FATHOM_REDIS_PORT": f"{redis}",
        "FATHOM_DATA_DIR": f"{data}",
        "FATHOM_RAY_TEMP_DIR": f"{workspace.scratch / 'ray'}",
        "REDIS_URL": redis_url or "",
        **workspace.environ,
    }
    command = python("-m", "serve_app.launch", "serve", f"{config}")
    return Running(
        http,
        [Started("ours", command, workspace.folder, environ)],
        fields={"model_type": model.name},
        ready_path="/health/ready",
        metrics_path="/metrics",
        keeps={data / "serve.log": workspace.folder / "ours-serve.log"},
        redis_url=redis_url or f"redis://{LOOPBACK}:{redis}/0",
    )


def bench_config(base: Path, model: BenchModel) -> dict[str, Any]:
    """The configuration in `base` with its models replaced by one, everything else as it stands.

    Raises ValueError when `base` has no model to take the deployment's settings from.
    """
    document = yaml.safe_load(base.read_text("utf-8"))
    document = {key: value for key, value in document.items() if not key.startswith("x-")}
    models = [app for app in document["applications"] if app["import_path"] == MODEL_IMPORT_PATH]
    if not models:
        raise ValueError(f"{base} has no application with import_path {MODEL_IMPORT_PATH}")
    ours = copy.deepcopy(models[0])
    ours["name"] = model.name
    ours["args"] = {**model.definition.model_dump(mode="json", exclude_defaults=True), "required": True}
    knobs = model.knobs.model_dump(mode="json", exclude_defaults=True)
    for deployment in ours["deployments"]:
        deployment["user_config"] = {**deployment.get("user_config", {}), **knobs}
    others = [app for app in document["applications"] if app["import_path"] != MODEL_IMPORT_PATH]
    for application in others:
        if application["import_path"] == DOOR_IMPORT_PATH:
            application["args"] = {**(application.get("args") or {}), "default_model": model.name}
    document["applications"] = [ours, *others]
    return document
