"""A system that lives and does not answer is told of, and ends when it is ours."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from serve_app.launcher.dashboard_client import RunningSystem
from serve_app.launcher.processes.ports import free_ports
from serve_app.launcher.pulse import Pulse, PulseTimes
from tests.serve_app.launcher.fake_dashboard import FakeDashboard, serving
from tests.support.waiting import wait_for

WITHIN_S = 20.0
AT_ONCE = PulseTimes(door_timeout_s=0.1, hang_timeout_s=0.1)


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with serving(FakeDashboard()) as running:
        yield running


def told(pulse: Pulse) -> list[str]:
    """The next lines that are told."""
    ends_at_s = time.monotonic() + WITHIN_S
    while time.monotonic() < ends_at_s:
        if lines := pulse.ask():
            return lines
    pytest.fail("nothing was reported")


@pytest.mark.parametrize("ends", [True, False])
def test_a_controller_that_is_silent_for_long_is_told_and_is_the_end_of_a_system_of_our_own(
    dashboard: FakeDashboard, ends: bool
) -> None:
    with RunningSystem(dashboard.url, {"RAY_AUTH_MODE": "disabled"}) as system:
        pulse = Pulse(system, None, ends, AT_ONCE)
        assert pulse.ask() == []
        dashboard.busy_answers = 1_000_000
        [line] = told(pulse)
        assert line.startswith("Ray Serve's controller has been silent for ")
        assert line.endswith(f"the system at {dashboard.url} is still starting, or stopping")
        assert pulse.lost is ends
        assert pulse.ask() == [], "a silence is told once"
        dashboard.busy_answers = 0
        [line] = told(pulse)
        assert line.startswith("Ray Serve's controller answers again after ")


def test_a_controller_that_misses_a_beat_is_no_news(dashboard: FakeDashboard) -> None:
    with RunningSystem(dashboard.url, {"RAY_AUTH_MODE": "disabled"}) as system:
        pulse = Pulse(system, None, True, PulseTimes(hang_timeout_s=60))
        dashboard.busy_answers = 3
        while dashboard.busy_answers:
            assert pulse.ask() == []
        assert pulse.ask() == []
        assert not pulse.lost


def test_a_door_that_is_silent_is_told_and_is_not_the_end(dashboard: FakeDashboard) -> None:
    door = FakeDashboard()
    with RunningSystem(dashboard.url, {"RAY_AUTH_MODE": "disabled"}) as system:
        [port] = free_ports(1)
        pulse = Pulse(system, f"http://127.0.0.1:{port}", True, AT_ONCE)
        [line] = told(pulse)
        assert line.startswith(f"the HTTP door at http://127.0.0.1:{port} has been silent for ")
        assert not pulse.lost
        with serving(door, port):
            # It knows no such route: that is an answer, too.
            [line] = told(pulse)
        assert line.startswith(f"the HTTP door at http://127.0.0.1:{port} answers again after ")


def test_nothing_is_asked_more_often_than_is_wanted(dashboard: FakeDashboard) -> None:
    with RunningSystem(dashboard.url, {"RAY_AUTH_MODE": "disabled"}) as system:
        pulse = Pulse(system, None, True, PulseTimes(poll_interval_s=3600))
        pulse.poll()
        assert dashboard.asked.wait(WITHIN_S)
        wait_for(lambda: asking() == [], what="the answer")
        dashboard.asked.clear()
        for _ in range(3):
            assert pulse.poll() == []
            assert asking() == []
        assert not dashboard.asked.is_set()


def test_a_dashboard_that_hangs_keeps_nobody_waiting_and_is_told_of_later() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with RunningSystem(address, {"RAY_AUTH_MODE": "disabled"}) as system:
            pulse = Pulse(system, None, True, PulseTimes(poll_interval_s=0, hang_timeout_s=0))
            begun_s = time.monotonic()
            assert pulse.poll() == []
            assert time.monotonic() - begun_s < 1
            told_of: list[str] = []
            wait_for(lambda: told_of.extend(pulse.poll()) or told_of, WITHIN_S, "what is told")
    assert told_of[0].startswith("Ray Serve's controller has been silent for ")
    assert pulse.lost


def asking() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pulse"]
