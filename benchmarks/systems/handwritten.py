"""Starts the hand-written server with one or two uvicorn workers."""

from benchmarks.load.free_ports import LOOPBACK, free_ports
from benchmarks.machine.started import Started
from benchmarks.models import BenchModel
from benchmarks.systems.contract import THREADS, Running, Workspace, cores, python, server_environment


def start_one(model: BenchModel, workspace: Workspace) -> Running:
    """One worker."""
    return _start(model, workspace, 1)


def start_two(model: BenchModel, workspace: Workspace) -> Running:
    """Two workers, each with the whole thread pool."""
    return _start(model, workspace, 2)


def _start(model: BenchModel, workspace: Workspace, workers: int) -> Running:
    [port] = free_ports(1)
    options = ["--host", LOOPBACK, "--port", f"{port}", "--workers", f"{workers}", "--log-level", "warning"]
    command = python("-m", "uvicorn", "benchmarks.systems.handwritten_app:app", *options, "--no-access-log")
    environ = {**server_environment(model), THREADS: f"{max(2, cores())}"}
    return Running(port, [Started(f"handwritten-{workers}", command, workspace.folder, environ)])
