"""Starts the legacy design: a Valkey server, a worker, and a web server that polls."""

from benchmarks.load.free_ports import LOOPBACK, free_ports
from benchmarks.machine.started import Started
from benchmarks.models import BenchModel
from benchmarks.systems.contract import QUEUE, REDIS, Running, Workspace, python, server_environment
from benchmarks.systems.legacy_worker import READY
from benchmarks.systems.valkey import start_valkey

MODEL_TIMEOUT_S = 180.0


def start(model: BenchModel, workspace: Workspace) -> Running:
    """All three, nothing persistent."""
    url, valkey = start_valkey(workspace, is_persistent=False)
    parts = [valkey]
    try:
        parts.append(start_worker(model, workspace, url))
        [port] = free_ports(1)
        options = ["--host", LOOPBACK, "--port", f"{port}", "--log-level", "warning", "--no-access-log"]
        command = python("-m", "uvicorn", "benchmarks.systems.legacy_web:app", *options)
        parts.append(Started("legacy-web", command, workspace.folder, {**server_environment(model), REDIS: url}))
    except BaseException:
        for part in reversed(parts):
            part.stop()
        raise
    [queue] = model.definition.queues
    return Running(port, parts, fields={"model_type": queue}, redis_url=url)


def start_worker(model: BenchModel, workspace: Workspace, url: str) -> Started:
    """The worker alone, once its model is loaded."""
    [queue] = model.definition.queues
    environ = {**server_environment(model), REDIS: url, QUEUE: queue}
    command = python("-m", "benchmarks.systems.legacy_worker")
    worker = Started("legacy-worker", command, workspace.folder, environ)
    worker_words = READY
    try:
        worker.wait_until(lambda: worker_words in worker.last_words(), MODEL_TIMEOUT_S)
    except BaseException:
        worker.stop()
        raise
    return worker
