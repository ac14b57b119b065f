"""Starts plain Ray Serve: Ray's and Serve's own defaults, on a port of the loopback address."""

from benchmarks.load.free_ports import free_ports
from benchmarks.machine.started import Started
from benchmarks.models import BenchModel
from benchmarks.systems.contract import PORT, Running, Workspace, python, server_environment


def start(model: BenchModel, workspace: Workspace) -> Running:
    """The ingress and the model."""
    return _start("detector", model, workspace)


def start_hello(model: BenchModel, workspace: Workspace) -> Running:
    """The smallest application there is, without the model."""
    return _start("hello", model, workspace)


def _start(kind: str, model: BenchModel, workspace: Workspace) -> Running:
    [port] = free_ports(1)
    scratch = workspace.scratch / "ray"
    command = python("-m", "benchmarks.systems.plain_serve_main", kind, f"{scratch}")
    environ = {**server_environment(model), PORT: f"{port}"}
    ready_path = "/" if kind == "hello" else "/docs"
    return Running(port, [Started(f"plain-{kind}", command, workspace.folder, environ)], ready_path=ready_path)
