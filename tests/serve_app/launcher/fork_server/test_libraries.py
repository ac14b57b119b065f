"""What workers share bears a fork, and is most of what they import."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from serve_app.launcher.fork_server.libraries import OF_A_RUNTIME, OF_EVERY_WORKER, libraries_for

LOOK = """
import os, sys
from importlib import import_module

for name in sys.argv[1].split(","):
    import_module(name)
packages = {name.partition(".")[0] for name in sys.modules}
unwanted = packages & {"ray", "grpc", "deployments", "serve_app", "redis_bridge"}
print(len(os.listdir("/proc/self/task")), *unwanted)
"""


def test_the_libraries_bear_a_fork() -> None:
    """None starts a thread, and none brings Ray or gRPC along, or our own code."""
    modules = [*OF_EVERY_WORKER, *(name for names in OF_A_RUNTIME.values() for name in names)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", LOOK, ",".join(modules)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["1"]


REST = """
import sys
from importlib import import_module

for name in sys.argv[1].split(","):
    import_module(name)
before = set(sys.modules)
import ray.serve._private.controller
import ray.serve._private.replica
rest = [name for name in set(sys.modules) - before if not name.startswith(("ray", "google", "grpc"))]
print(len(rest), *rest)
"""


def test_most_of_what_ray_serve_imports_is_among_the_libraries() -> None:
    """A later Ray may import others, and each worker would spend its time on them unseen."""
    command = [sys.executable, "-c", REST, ",".join(OF_EVERY_WORKER)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    count, *rest = done.stdout.split()
    assert int(count) < 100, rest


@pytest.mark.parametrize(
    ("families", "has_tensorflow"), [([], False), (["fixed-answer"], False), (["onnx", "yolov5"], True)]
)
def test_tensorflow_is_shared_where_a_model_needs_it(families: list[str], has_tensorflow: bool) -> None:
    applications: list[Mapping[str, Any]] = [{"name": "api", "args": None}, {"name": "valkey"}]
    applications += [{"name": name, "args": {"family": name}} for name in families]
    libraries = libraries_for({"applications": applications})
    assert ("tensorflow" in libraries.later) == has_tensorflow
    assert "numpy" in libraries.first
