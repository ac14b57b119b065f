"""What has died is told in one line: its name, its number, what follows, where its log is."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from serve_app.launcher.deaths import Deaths, shown_name
from serve_app.launcher.processes.process_tree import lives
from tests.serve_app.launcher.titled_process import running
from tests.support.waiting import wait_for

WITHIN_S = 20.0


def told(deaths: Deaths) -> list[str]:
    """The next lines that are told."""
    ends_at_s = time.monotonic() + WITHIN_S
    while time.monotonic() < ends_at_s:
        lines = deaths.poll(is_starting=False)
        if lines:
            return lines
    pytest.fail("nothing was reported")


@pytest.mark.parametrize("name", ["gcs_server", "raylet", "ray::DashboardAgent", "ray::RuntimeEnvAgent"])
def test_a_part_that_nobody_replaces_is_the_end(name: str) -> None:
    deaths = Deaths()
    with running("gcs_server", "--log_dir=/of/ray") as gcs_server, running(name) as process:
        victim = gcs_server if name == "gcs_server" else process
        assert deaths.poll(is_starting=True) == []
        assert not deaths.lost
        # It becomes a zombie, as nobody waits for it here.
        victim.kill()
        [line] = told(deaths)
        assert line.startswith(
            f"{name} (process {victim.pid}) has died; the system cannot go on without it; log: /of/ray/"
        )
        assert deaths.lost


def test_what_dies_with_the_raylet_is_not_told_beside_it() -> None:
    deaths = Deaths()
    with running("raylet") as raylet, running("ray::ServeController") as controller:
        deaths.poll(is_starting=True)
        controller.kill()
        controller.wait()
        raylet.kill()
        raylet.wait()
        [line] = told(deaths)
        assert line.startswith("raylet (process ")
        assert deaths.poll(is_starting=False) == []


@pytest.mark.parametrize("name", ["ray::ServeController", "ray::HAProxyManager", "ray::ProxyActor", "haproxy"])
def test_a_part_that_is_replaced_is_told_when_it_dies_and_when_it_is_back(name: str) -> None:
    deaths = Deaths()
    with running(name) as first:
        deaths.poll(is_starting=True)
        first.kill()
        [line] = told(deaths)
        assert line.startswith(f"{name} (process {first.pid}) has died; another is being started; log: ")
        assert deaths.poll(is_starting=False) == []
        with running(name) as second:
            [line] = told(deaths)
            assert line.startswith(f"{name} is back (process {second.pid}) after ")
            assert not deaths.lost


def test_the_log_of_valkey_is_beside_its_configuration() -> None:
    deaths = Deaths()
    with running("/x/bin/valkey-server", "/data/valkey/valkey.conf") as process:
        deaths.poll(is_starting=True)
        process.kill()
        [line] = told(deaths)
        assert line.startswith(f"valkey-server (process {process.pid}) has died; ")
        assert line.endswith("; log: /data/valkey/valkey.log")


def test_a_haproxy_that_hands_over_to_a_younger_one_has_not_died() -> None:
    deaths = Deaths()
    with running("haproxy") as old:
        deaths.poll(is_starting=True)
        wait_for_a_younger_clock(old)
        with running("haproxy") as new:
            old.kill()
            old.wait()
            assert deaths.poll(is_starting=False) == []
            new.kill()
            [line] = told(deaths)
            assert line.startswith(f"haproxy (process {new.pid}) has died; ")


def test_a_haproxy_that_is_draining_still_does_not_hide_the_death_of_a_younger_one() -> None:
    deaths = Deaths()
    with running("haproxy") as old:
        wait_for_a_younger_clock(old)
        with running("haproxy") as new:
            deaths.poll(is_starting=True)
            new.kill()
            [line] = told(deaths)
            assert line.startswith(f"haproxy (process {new.pid}) has died; ")
            assert old.poll() is None


def test_a_valkey_that_makes_itself_a_daemon_has_not_died() -> None:
    deaths = Deaths()
    with running("valkey-server", "/data/valkey.conf") as started:
        deaths.poll(is_starting=True)
        with running("valkey-server", "/data/valkey.conf") as daemon:
            started.kill()
            started.wait()
            assert deaths.poll(is_starting=True) == []
            daemon.kill()
            [line] = told(deaths)
            assert line.startswith(f"valkey-server (process {daemon.pid}) has died; ")


def wait_for_a_younger_clock(than: "subprocess.Popen[bytes]") -> None:
    """Until a new process is seen to be younger: start times are kept in hundredths of a second."""
    started_at_s = psutil.Process(than.pid).create_time()
    ends_at_s = time.monotonic() + WITHIN_S
    while time.monotonic() < ends_at_s:
        with running("probe") as probe:
            if psutil.Process(probe.pid).create_time() > started_at_s:
                return
    pytest.fail("no process is younger than another one")


@pytest.mark.parametrize("script", ["log_monitor.py", "monitor.py"])
def test_a_part_that_is_not_needed_is_told_once(script: str, tmp_path: Path) -> None:
    deaths = Deaths()
    (tmp_path / script).write_text("input()")
    with subprocess.Popen([sys.executable, "-u", str(tmp_path / script)], stdin=subprocess.PIPE) as process:
        deaths.poll(is_starting=True)
        process.kill()
        [line] = told(deaths)
        assert line.startswith(f"{script} (process {process.pid}) has died; the system goes on without it; log: ")
        assert deaths.poll(is_starting=False) == []
        assert not deaths.lost


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["/v/ray/core/src/ray/gcs/gcs_server", "--log_dir=/x"], "gcs_server"),
        (["/v/bin/python", "-u", "/v/ray/_private/log_monitor.py", "--session-dir=/x"], "log_monitor.py"),
        (["/v/bin/python", "/v/ray/dashboard/dashboard.py", "--host=127.0.0.1"], "dashboard.py"),
        (["ray::ServeReplica:quick:Model                    "], "ray::ServeReplica:quick:Model"),
        (["ray::ServeController.get_serve_instance_details"], "ray::ServeController"),
        (["ray-dashboard-ServeHead-0 (/v/bin/python -B -c ...)"], "ray-dashboard-ServeHead"),
        (["ray-dashboard-ServeHead-12 (/v/bin/python -B -c ...)"], "ray-dashboard-ServeHead"),
        (["/v/bin/python3.11", "-u"], ""),
        (["", "x"], ""),
        ([], ""),
    ],
)
def test_a_process_is_called_as_a_person_sees_it(command: list[str], name: str) -> None:
    assert shown_name(tuple(command)) == name


def test_a_process_that_the_raylet_has_just_forked_is_no_second_raylet(tmp_path: Path) -> None:
    """A worker shows the command line of the raylet until it runs a program of its own."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    deaths = Deaths()
    command = ["raylet", "-c", f"(read line < {gate}) & read forever"]
    with subprocess.Popen(command, executable="/bin/sh", stdin=subprocess.PIPE) as raylet:
        try:
            [forked] = wait_for(psutil.Process(raylet.pid).children, WITHIN_S, "the fork")
            wait_for(lambda: forked.cmdline() == command, WITHIN_S, "its command line")
            assert deaths.poll(is_starting=True) == []
            gate.write_text("go\n")
            wait_for(lambda: not lives(forked), WITHIN_S, "its end")
            assert deaths.poll(is_starting=True) == []
            assert not deaths.lost
            raylet.kill()
            [line] = told(deaths)
            assert line.startswith(f"raylet (process {raylet.pid}) has died; ")
        finally:
            raylet.kill()
