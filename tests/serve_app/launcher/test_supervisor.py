"""From start to stop: what is told, what is closed first, what is killed, and the exit status."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.serve_app.launcher.blocks import API, model_block
from tests.serve_app.launcher.driven import DIES, NEVER_STOPS, STOPS_IN_ORDER, UNBLOCK, driven
from tests.serve_app.launcher.fake_dashboard import FakeDashboard, serving


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with serving(FakeDashboard(busy_answers=1)) as running:
        running.run(model_block("first"), API)
        yield running


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "serve.log"


@pytest.mark.parametrize("order", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_closes_the_http_door_first_and_then_stops_in_order(
    dashboard: FakeDashboard, log: Path, order: signal.Signals
) -> None:
    with driven(dashboard.url, log, STOPS_IN_ORDER) as foreground:
        assert foreground.said("up: ").strip() == "up: api, first"
        left = foreground.descendants()
        foreground.process.send_signal(order)
        assert foreground.said("stopped").strip() == "stopped"
        assert foreground.process.wait(10) == 0
    assert [app["name"] for app in dashboard.submitted[0]["applications"]] == ["first"]
    assert len(left) == 1
    assert not left[0].is_running()


def test_a_second_signal_kills(dashboard: FakeDashboard, log: Path) -> None:
    with driven(dashboard.url, log, NEVER_STOPS) as foreground:
        foreground.said("up: ")
        left = foreground.descendants()
        foreground.process.send_signal(signal.SIGINT)
        foreground.said("stopping")
        foreground.process.send_signal(signal.SIGINT)
        foreground.said("stopped at once")
        assert foreground.process.wait(20) == 1
    assert not left[0].is_running()


def test_a_stop_that_takes_too_long_ends_after_its_grace(dashboard: FakeDashboard, log: Path) -> None:
    with driven(dashboard.url, log, NEVER_STOPS, grace_s=0.5) as foreground:
        foreground.said("up: ")
        foreground.process.send_signal(signal.SIGTERM)
        foreground.said("stopped at once")
        assert foreground.process.wait(20) == 1


def test_a_system_that_ends_by_itself_is_told_with_its_reason(dashboard: FakeDashboard, log: Path) -> None:
    with driven(dashboard.url, log, DIES) as foreground:
        line = foreground.said("ended by itself")
        assert line.startswith("serve run (process ")
        assert "ValueError: no such disk (exit status 1, log: " in line
        assert foreground.process.wait(20) == 1


def test_a_signal_during_the_start_stops_in_order(dashboard: FakeDashboard, log: Path) -> None:
    dashboard.busy_answers = 10_000
    with driven(dashboard.url, log, "print('runs', flush=True);" + STOPS_IN_ORDER) as foreground:
        while not (log.exists() and "runs" in log.read_text()):
            assert foreground.process.poll() is None
        foreground.process.send_signal(signal.SIGINT)
        foreground.said("stopped")
        assert foreground.process.wait(20) == 0


def test_a_failed_application_is_told_and_the_others_go_on(dashboard: FakeDashboard, log: Path) -> None:
    dashboard.failing = {"first"}
    dashboard.run(model_block("first"), API)
    with driven(dashboard.url, log, STOPS_IN_ORDER) as foreground:
        line = foreground.said("first has failed")
        assert line.strip() == "first has failed: ModelUnavailable: the weights w.npz cannot be read"
        assert foreground.said("up: ").strip() == "up: api"


def test_a_first_failed_try_is_told_before_all_of_them_have_failed(dashboard: FakeDashboard, log: Path) -> None:
    dashboard.retried = {"first"}
    dashboard.run(model_block("first"), API)
    with driven(dashboard.url, log, STOPS_IN_ORDER) as foreground:
        line = foreground.said("first did not start")
        reason = "ModelUnavailable: the weights w.npz cannot be read"
        assert line.strip() == f"first did not start, and is tried again: {reason}"
        assert foreground.said("up: ").strip() == "up: api, first"


LOSES_ITS_RAYLET = (
    "import subprocess;"
    "subprocess.Popen(['raylet', '-c', 'read forever'], executable='/bin/sh', stdin=subprocess.PIPE);"
)


def test_the_death_of_a_part_that_nobody_replaces_is_told_and_ends_the_rest_in_order(
    dashboard: FakeDashboard, log: Path
) -> None:
    with driven(dashboard.url, log, LOSES_ITS_RAYLET + STOPS_IN_ORDER) as foreground:
        foreground.said("up: ")
        left = foreground.descendants()
        [raylet] = [process for process in left if process.cmdline()[0] == "raylet"]
        raylet.kill()
        assert f"raylet (process {raylet.pid}) has died; the system cannot go on" in foreground.said("raylet")
        foreground.said("stopping what is left: jobs stay in Redis")
        assert foreground.said("stopped").strip() == "stopped"
        assert foreground.process.wait(20) == 1
    assert not any(process.is_running() for process in left)
    assert dashboard.submitted == [], "the HTTP door cannot be closed first any more"


ENDS_WITH_ITS_RAYLET = (
    UNBLOCK
    + """
import atexit, subprocess

def end(*_):
    raise ValueError("no such disk")

def end_raylet():
    raylet.kill()
    raylet.wait()
    time.sleep(2)  # the other parts of Ray

raylet = subprocess.Popen(["raylet", "-c", "read forever"], executable="/bin/sh", stdin=subprocess.PIPE)
atexit.register(end_raylet)
signal.signal(signal.SIGUSR1, end)
time.sleep(600)
"""
)


def test_a_child_that_ends_itself_is_told_before_the_parts_that_go_with_it(
    dashboard: FakeDashboard, log: Path
) -> None:
    with driven(dashboard.url, log, ENDS_WITH_ITS_RAYLET) as foreground:
        foreground.said("up: ")
        [child] = psutil.Process(foreground.process.pid).children()
        child.send_signal(signal.SIGUSR1)
        line = foreground.said(" has died; ")
        assert line.startswith("serve run (process ")
        assert "ValueError: no such disk (exit status 1, log: " in line
        assert foreground.said(" has died; ").startswith("raylet (process ")
        assert foreground.process.wait(20) == 1


def test_a_part_that_dies_during_the_start_ends_the_waiting(dashboard: FakeDashboard, log: Path) -> None:
    dashboard.busy_answers = 1_000_000
    with driven(dashboard.url, log, LOSES_ITS_RAYLET + STOPS_IN_ORDER) as foreground:
        while not (raylets := [one for one in foreground.descendants() if one.cmdline()[:1] == ["raylet"]]):
            assert foreground.process.poll() is None
        while dashboard.busy_answers > 1_000_000 - 2:
            assert foreground.process.poll() is None
        raylets[0].kill()
        foreground.said(f"raylet (process {raylets[0].pid}) has died")
        assert foreground.process.wait(30) == 1


def test_a_system_that_hangs_is_told_and_ended(dashboard: FakeDashboard, log: Path) -> None:
    with driven(dashboard.url, log, NEVER_STOPS, grace_s=0.5) as foreground:
        foreground.said("up: ")
        dashboard.busy_answers = 1_000_000
        foreground.said("Ray Serve's controller has been silent for ")
        foreground.said("stopping what is left")
        assert foreground.process.wait(20) == 1


def test_a_controller_that_is_silent_for_a_moment_ends_nothing(dashboard: FakeDashboard, log: Path) -> None:
    with driven(dashboard.url, log, STOPS_IN_ORDER) as foreground:
        foreground.said("up: ")
        dashboard.busy_answers = 3
        while dashboard.busy_answers:
            assert foreground.process.poll() is None
        foreground.process.send_signal(signal.SIGINT)
        foreground.said("stopping: what is in flight is finished first")
        assert foreground.process.wait(20) == 0
