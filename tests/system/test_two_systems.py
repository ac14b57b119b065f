"""Two systems of one user at the same time, in surroundings that a user may well have, and neither knows it.

One has a proxy for the internet in its environment, the other odd folders, an old locale and an IPv6 address.
"""

import base64
import json
import re
import signal
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
import redis
import yaml

from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, START_S, STOP_S, environment_for
from tests.system.launched import Launched, document, launch, launched, model

pytestmark = [pytest.mark.slow, pytest.mark.beside_others, pytest.mark.timeout(2 * START_S + STOP_S)]

FRAME = SAMPLES / "seafloor-1.png"
QUEUE = "image_queue_quick"
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
RAY_AGENT_PORT = 52365
"""Ray has no setting for it; a second agent does without."""


class CountingProxy:
    """Listens as a proxy does, notes who comes, and hangs up."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.first_lines: list[bytes] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    self.first_lines.append(connection.recv(200).partition(b"\r\n")[0])
                except OSError:
                    self.first_lines.append(b"(silence)")

    def close(self) -> None:
        # A close alone does not wake the thread that accepts.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@dataclass
class TestedSystem:
    """A running system, how it is reached, and the label that only its model gives."""

    __test__ = False

    run: Launched
    label: str
    address: str
    redis_port: int
    data: Path

    def listeners(self) -> set[tuple[str, int]]:
        """Address and port of every socket that one of its processes listens on."""
        processes = psutil.Process(self.run.process.pid).children(recursive=True)
        return {
            (connection.laddr.ip, connection.laddr.port)
            for process in processes
            for connection in connections_of(process)
            if connection.status == psutil.CONN_LISTEN
        }

    def replica_logs(self) -> str:
        """All that Serve's logs of its replicas hold now."""
        return "".join(path.read_text() for path in replica_logs_under(self.run.process.pid))


def connections_of(process: psutil.Process) -> list[Any]:
    try:
        return list(process.net_connections(kind="tcp"))
    except psutil.Error:
        return []


def replica_logs_under(pid: int) -> set[Path]:
    found: set[Path] = set()
    for process in psutil.Process(pid).children(recursive=True):
        try:
            found |= {Path(file.path) for file in process.open_files() if "/logs/serve/replica_" in file.path}
        except psutil.Error:
            continue
    return found


@contextmanager
def started(folder: Path, label: str, environ: dict[str, str]) -> Iterator[tuple[Launched, dict[str, str]]]:
    """The launcher of a small system at work; not up yet. It is stopped in order, and leaves nothing behind."""
    folder.mkdir()
    environ = environment_for(folder / "data") | {"RAY_AUTH_TOKEN_PATH": str(folder / "token")} | environ
    system = document(int(environ["FATHOM_HTTP_PORT"]), model("quick", labels=[label, "other"], queues=[QUEUE]))
    del system["http_options"]["host"]
    for name, builder in (("bridge", "redis_bridge.app:build"), ("valkey", "redis_bridge.embedded:build")):
        system["applications"].append({"name": name, "import_path": builder, "route_prefix": None})
    system["logging_config"] = {"enable_access_log": False}
    config = folder / "system.yaml"
    config.write_text(yaml.safe_dump(system))
    with launched(launch("serve", str(config)), environ, folder / "terminal") as run:
        yield run, environ
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(STOP_S) == 0, run.said()
        assert run.left_behind() == []


@pytest.fixture(scope="module")
def proxy() -> Iterator[CountingProxy]:
    counting = CountingProxy()
    yield counting
    counting.close()


@pytest.fixture(scope="module")
def systems(tmp_path_factory: pytest.TempPathFactory, proxy: CountingProxy) -> Iterator[list[TestedSystem]]:
    folder = tmp_path_factory.mktemp("two")
    long_tmpdir = folder / ("t" * 150)
    long_tmpdir.mkdir()
    names = [name for lower in PROXY_VARIABLES for name in (lower, lower.upper())]
    behind_a_proxy = dict.fromkeys(names, f"http://127.0.0.1:{proxy.port}")
    odd = {
        "FATHOM_DATA_DIR": str(folder / 'it\'s "odd" \\ née'),
        "FATHOM_HTTP_HOST": "::1",
        "TMPDIR": str(long_tmpdir),
        "LC_ALL": "C",
        "PYTHONIOENCODING": "ascii",
        "PYTHONCOERCECLOCALE": "0",
    }
    with ExitStack() as stack:
        runs = [
            (label, *stack.enter_context(started(folder / label, label, environ)))
            for label, environ in (("first", behind_a_proxy), ("second", odd))
        ]
        for _, run, _ in runs:
            run.wait_for_words("Ctrl-C", START_S)
        yield [
            TestedSystem(
                run, label, page_of(run), int(environ["FATHOM_REDIS_PORT"]), Path(environ["FATHOM_DATA_DIR"])
            )
            for label, run, environ in runs
        ]


def page_of(run: Launched) -> str:
    found = re.search(r"Page +(\S+)/\n", run.said())
    assert found is not None, run.said()
    return found[1]


def labels_by_http(system: TestedSystem) -> set[str]:
    with FRAME.open("rb") as file:
        answer = httpx.post(f"{system.address}/predictor/", files={"file": file}, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    return {prediction["category_id"] for prediction in answer.json()["predictions"]}


def metrics_of(system: TestedSystem) -> str:
    answer = httpx.get(f"{system.address}/metrics", timeout=60, trust_env=False)
    answer.raise_for_status()
    return answer.text


def push_job(store: "redis.Redis", image: str) -> str:
    job_id = str(uuid.uuid4())
    store.rpush(QUEUE, json.dumps({"id": job_id, "image": image, "height": 8, "width": 8}))
    return job_id


PIXELS = base64.b64encode(np.zeros((1, 8, 8, 3), np.float32).tobytes()).decode()


def test_each_system_answers_its_own_requests_and_jobs_only(systems: list[TestedSystem]) -> None:
    for system in systems:
        # The agent of the second system, too, which found Ray's fixed port for it taken, is asked.
        wait_for(lambda: "fathom_http_requests_total" in metrics_of(system), 60, "the metrics")  # noqa: B023
        for _ in range(10):
            assert labels_by_http(system) == {system.label, "other"}
        with redis.Redis(port=system.redis_port) as store:
            job_id = push_job(store, PIXELS)
            answer = json.loads(wait_for(lambda: store.get(job_id), 60, "the answer"))  # noqa: B023  # used at once
        assert system.label in json.dumps(answer)


def test_no_port_is_shared_and_none_that_is_fixed_is_needed(systems: list[TestedSystem]) -> None:
    first, second = (system.listeners() for system in systems)
    assert len(first) > 10
    assert {port for _, port in first} & {port for _, port in second} == set()
    assert not {port for _, port in first | second} & {8500, 9500, 8404, 9101}


def test_nothing_goes_through_the_proxy_of_the_environment(systems: list[TestedSystem], proxy: CountingProxy) -> None:
    for _ in range(3):
        labels_by_http(systems[0])
    metrics_of(systems[0])
    assert proxy.first_lines == []


def test_odd_surroundings_are_told_in_addresses_that_can_be_opened(systems: list[TestedSystem]) -> None:
    assert systems[1].address.startswith("http://[::1]:")
    assert "Traceback" not in systems[1].run.said()


def test_lines_of_replicas_are_in_the_logs_at_once_and_warnings_in_the_launchers(
    systems: list[TestedSystem],
) -> None:
    for system in systems:
        assert "model quick is loaded" in system.replica_logs()
        assert "serves the queues at" in system.replica_logs()
        with redis.Redis(port=system.redis_port) as store:
            job_id = push_job(store, "no picture")
            wait_for(lambda: store.get(job_id), 60, "the answer")  # noqa: B023  # used at once
        told = f"job '{job_id}' of queue {QUEUE} is a dead letter"
        wait_for(lambda: told in system.replica_logs(), 1.0, "the warning in the replica's log")  # noqa: B023
        log = system.data / "serve.log"
        wait_for(lambda: told in log.read_text(), 20.0, "the warning in the launcher's log")  # noqa: B023
