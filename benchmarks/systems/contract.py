"""What the bench asks of a system: start with one model, say where it answers, stop and leave nothing."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from benchmarks.machine.started import Started
from benchmarks.machine.usage import Usage
from benchmarks.models import BenchModel

DEFINITION = "BENCH_DEFINITION"
"""Environment variable with the model's definition as JSON, for the servers that the bench brings."""

PORT = "BENCH_PORT"
THREADS = "BENCH_THREADS"
REDIS = "BENCH_REDIS_URL"
QUEUE = "BENCH_QUEUE"
FAST_ENDPOINT = "/v1/models/{model}/predict"


@dataclass(frozen=True, slots=True)
class Workspace:
    """folder: for logs and configurations.  scratch: for sockets and data, a short path.  base_config: the
    configuration whose shape ours has.  environ: for ours only, to try switches.  fast_endpoint: path of our
    fastest endpoint, with {model}; it takes the image as the whole body."""

    folder: Path
    scratch: Path
    base_config: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    fast_endpoint: str = FAST_ENDPOINT


@dataclass(slots=True)
class Running:
    """A system that answers at http://host:port<path>, with form fields beside the file.

    parts: what was started, in order.  ready_path: asked until its status is one of ready_statuses; a server
    whose model is loaded before it listens is ready when it answers anything.  redis_url: of its queue, where it
    has one.  keeps: files to copy when it stops, to where.  start_s: until it was ready.  is_raw: the image is the
    whole body, and there are no fields.
    """

    port: int
    parts: list[Started]
    path: str = "/predictor/"
    fields: Mapping[str, str] = field(default_factory=dict)
    ready_path: str = "/docs"
    ready_statuses: tuple[int, ...] = (200,)
    metrics_path: str | None = None
    redis_url: str | None = None
    keeps: Mapping[Path, Path] = field(default_factory=dict)
    start_s: float = 0.0
    is_raw: bool = False

    def usage(self) -> Usage:
        """What all its processes have used until now."""
        usages = [part.usage() for part in self.parts]
        return Usage(
            {pid: entry for usage in usages for pid, entry in usage.cpu_s.items()},
            sum(usage.peak_bytes for usage in usages),
        )

    def forget_peaks(self) -> None:
        """Memory peaks count from now on."""
        for part in self.parts:
            part.forget_peaks()

    def stop(self) -> None:
        """Stops everything, the last started first."""
        for part in reversed(self.parts):
            part.stop()
        for source, target in self.keeps.items():
            if source.exists():
                shutil.copyfile(source, target)


Start = Callable[[BenchModel, Workspace], Running]


def python(*arguments: str) -> list[str]:
    """A command that runs Python as the bench itself is run."""
    return [sys.executable, *arguments]


def server_environment(model: BenchModel) -> dict[str, str]:
    """The environment that every server of the bench gets."""
    return {
        DEFINITION: model.definition.model_dump_json(),
        "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH", "")])),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(psutil.Process().cpu_affinity() or [0])
