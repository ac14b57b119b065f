"""The launcher with a real Ray and Ray Serve, and a model that answers without TensorFlow.

Each test starts a system of its own, on free ports and in a folder of its own, so there are only a few.
"""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from serve_app.launcher.fork_server.rays_python import SERVER
from tests.support.waiting import wait_for
from tests.system.conftest import ROOT, SAMPLES, START_S, STOP_S, environment_for, free_port
from tests.system.launched import Launched, document, in_flight, launch, launched, model

pytestmark = pytest.mark.timeout(START_S + STOP_S + 60)

DELAY_S = 3.0
FRAME = SAMPLES / "seafloor-1.png"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """As a user has it, with Ray's token switched on, which is the launcher's default."""
    environ = environment_for(tmp_path / "data") | {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    del environ["RAY_AUTH_MODE"]
    return environ


def ask(url: str, answers: list[int]) -> None:
    with FRAME.open("rb") as file:
        answers.append(httpx.post(url, files={"file": file}, timeout=60, trust_env=False).status_code)


@pytest.mark.slow
@pytest.mark.beside_others
def test_a_system_comes_up_names_what_failed_and_drains(tmp_path: Path, environ: dict[str, str]) -> None:
    slow = model("slow", parameters={"delay_ms": DELAY_S * 1000})
    broken = model("broken", labels=["only one"])
    port = environ.pop("FATHOM_HTTP_PORT")
    config = tmp_path / "system.yaml"
    config.write_text(yaml.safe_dump(document(int(port), slow, broken)))
    with launched(launch("serve", str(config)), environ, tmp_path / "terminal") as run:
        run.wait_for_words("Ctrl-C", START_S)
        assert f"Page            http://127.0.0.1:{port}/" in run.said()
        assert f"Ray dashboard   http://127.0.0.1:{environ['FATHOM_DASHBOARD_PORT']}" in run.said()
        assert (
            "NOT RUNNING     broken: ModelUnavailable: fixed-answer has 2 classes, but the definition names 1 labels"
            in run.said()
        )
        assert "Traceback" not in run.said()

        assert_the_command_of_the_banner_works(run)
        assert_a_second_start_names_the_taken_ports(config, environ, port)

        assert_workers_are_forked(run)
        answers: list[int] = []
        url = f"http://127.0.0.1:{port}/predictor/"
        asking = [threading.Thread(target=ask, args=(url, answers)) for _ in range(2)]
        for thread in asking:
            thread.start()
        wait_for(lambda: in_flight(url) >= 2, what="two requests in flight")
        run.process.send_signal(signal.SIGINT)
        for thread in asking:
            thread.join()
        assert answers == [200, 200]
        assert run.process.wait(STOP_S) == 0, run.said()
        assert run.said().endswith("stopped\n")
        assert run.left_behind() == []


def assert_workers_are_forked(run: Launched) -> None:
    processes = psutil.Process(run.process.pid).children(recursive=True)
    [server] = [process for process in processes if SERVER in process.cmdline()]
    workers = {process.name() for process in server.children()}
    assert any(name.startswith("ray::ServeReplica") for name in workers), workers


def assert_the_command_of_the_banner_works(run: Launched) -> None:
    command = next(line for line in run.said().splitlines() if "curl" in line).split("Try it", 1)[1]
    answer = subprocess.run(
        ["sh", "-c", f"{command} --silent"], capture_output=True, text=True, timeout=60, check=True
    )
    assert '"success":true' in answer.stdout


def assert_a_second_start_names_the_taken_ports(config: Path, environ: dict[str, str], port: str) -> None:
    second = subprocess.run(
        launch("serve", str(config)), env=environ, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 2
    first_line, *_ = second.stderr.splitlines()
    assert first_line.startswith(f"port {port} (FATHOM_HTTP_PORT) is taken by ")
    assert "(process " in first_line


def test_a_killed_system_is_told_and_leaves_nothing_behind(tmp_path: Path, environ: dict[str, str]) -> None:
    config = tmp_path / "system.yaml"
    config.write_text(yaml.safe_dump(document(free_port(), model("quick"))))
    with launched(launch("serve", str(config)), environ, tmp_path / "terminal") as run:
        run.wait_for_words("starting", START_S)
        child = wait_for(lambda: psutil.Process(run.process.pid).children(), what="the system's process")[0]
        wait_for(lambda: len(child.children()) >= 2, START_S, "Ray's own processes")
        run.wait_for_words("starting", 1)
        child.kill()
        assert run.process.wait(STOP_S) == 1
        assert "the system has ended by itself" in run.said()
        assert run.left_behind() == []


@pytest.mark.scaling
def test_ray_is_started_again_where_its_agents_took_too_long(tmp_path: Path, environ: dict[str, str]) -> None:
    config = tmp_path / "system.yaml"
    config.write_text(yaml.safe_dump(document(int(environ.pop("FATHOM_HTTP_PORT")), model("quick"))))
    with launched(launch("serve", str(config)), environ, tmp_path / "terminal") as run:
        agent = wait_for(lambda: first_agent(run), START_S, "the agent of Ray's raylet")
        # As a disk does from which it is read for the first time.
        agent.suspend()
        run.wait_for_words("Ray did not start in time", START_S)
        run.wait_for_words("Ctrl-C", START_S)
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(STOP_S) == 0, run.said()
        assert run.left_behind() == []


def first_agent(run: Launched) -> psutil.Process | None:
    for process in psutil.Process(run.process.pid).children(recursive=True):
        try:
            if process.name() != "raylet" and any("dashboard/agent.py" in word for word in process.cmdline()):
                return process
        except psutil.Error:
            continue
    return None


@pytest.mark.slow
@pytest.mark.beside_others
def test_plain_serve_run_works_without_the_launcher(tmp_path: Path, environ: dict[str, str]) -> None:
    port = free_port()
    config = tmp_path / "system.yaml"
    config.write_text(yaml.safe_dump(document(port, model("quick"))))
    # A Ray of its own, whatever else this machine runs.
    environ |= {"RAY_ADDRESS": "local", "RAY_AUTH_MODE": "disabled"}
    serve = os.path.join(os.path.dirname(sys.executable), "serve")
    with launched([serve, "run", str(config)], environ, tmp_path / "terminal") as run:
        ready = f"http://127.0.0.1:{port}/v1/models/quick"
        wait_for(lambda: run.process.poll() is not None or model_is_ready(ready), START_S, "the model")
        # Without the launcher nobody has set Ray up, which costs a part of the speed.
        run.wait_for_words("`make serve`", START_S)
        run.seen = set(psutil.Process(run.process.pid).children(recursive=True))
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(STOP_S) == 0, run.said()


def model_is_ready(url: str) -> bool:
    try:
        answer = httpx.get(url, timeout=5, trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200 and answer.json()["state"] == "ready"
