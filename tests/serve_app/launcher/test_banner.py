"""The parts of the launcher that need no Ray: ports, banner, processes, the folder of a run, the command line."""

import json
import os
import shlex
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from serve_app.launch import main
from serve_app.launcher import serve_command
from serve_app.launcher.app_status import ApplicationState
from serve_app.launcher.banner import banner, http_address, redis_address
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.console import LaunchError
from serve_app.launcher.processes.ports import Listener, free_ports, port_problems
from serve_app.launcher.run_record import one_change_at_a_time, open_folder, read_record, remove_record, write_record

ROOT = Path(__file__).parents[3]


def test_ports_that_are_found_free_are_not_given_to_a_connection_before_they_are_used() -> None:
    taken = free_ports(1)[0]
    with socket.create_server(("127.0.0.1", taken)):
        found = free_ports(50)
    assert len(set(found)) == 50
    assert taken not in found
    # From here on the kernel takes ports for connections, and Ray Serve for replicas.
    assert max(found) < 30000


def test_a_taken_port_is_told_with_its_setting_and_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        (problem,) = port_problems([Listener("FATHOM_HTTP_PORT", "127.0.0.1", port)])
    assert f"port {port} (FATHOM_HTTP_PORT) is taken by " in problem
    assert f"(process {os.getpid()})" in problem
    assert problem.endswith("; set FATHOM_HTTP_PORT to a free port")


def test_a_port_taken_on_one_address_is_taken_for_all() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        assert port_problems([Listener("X", "0.0.0.0", holder.getsockname()[1])])


def test_a_free_port_is_no_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    assert port_problems([Listener("X", "127.0.0.1", port)]) == []


def test_one_port_for_two_settings_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    problems = port_problems([Listener("A", "127.0.0.1", port), Listener("B", "127.0.0.1", port)])
    assert problems == [f"port {port} is wanted by both A and B"]


def test_an_address_of_another_machine_is_refused() -> None:
    (problem,) = port_problems([Listener("X", "203.0.113.1", 8082)])
    assert problem.startswith("port 8082 (X) cannot be used on 203.0.113.1: ")


@pytest.mark.parametrize("host", ["no such machine", "x" * 300, "a..b", "nowhere.invalid"])
def test_a_host_that_is_none_is_refused_in_one_line(host: str) -> None:
    (problem,) = port_problems([Listener("FATHOM_HTTP_PORT", host, 8082)])
    assert problem.startswith("port 8082 (FATHOM_HTTP_PORT) cannot be used on ")


def test_the_banner_has_a_command_that_names_a_shipped_sample() -> None:
    states = {"a": ApplicationState("a", "RUNNING"), "b": ApplicationState("b", "DEPLOY_FAILED", "no weights")}
    text = banner("http://localhost:8082", "http://127.0.0.1:8265", "localhost:6379", states)
    command = next(line for line in text.splitlines() if "curl" in line)
    sample = Path(command.split("file=@")[1].split(";")[0])
    assert sample.is_file()
    assert shlex.split(command.partition("Try it")[2])[:2] == ["curl", "-F"]
    assert command.endswith("http://localhost:8082/predictor/")
    assert "NOT RUNNING     b: no weights" in text
    assert "a:" not in text


def test_the_http_address_is_one_that_can_be_opened() -> None:
    assert http_address({"http_options": {"host": "0.0.0.0", "port": 8082}}) == "http://localhost:8082"
    assert http_address({}) == "http://localhost:8000"
    assert http_address({"http_options": None}) == "http://localhost:8000"


@pytest.mark.parametrize(
    ("host", "address"),
    [("::1", "[::1]:80"), ("::", "localhost:80"), ("fd00::7", "[fd00::7]:80"), ("ship.example", "ship.example:80")],
)
def test_an_ipv6_address_stands_in_brackets_wherever_it_is_shown(host: str, address: str) -> None:
    assert http_address({"http_options": {"host": host, "port": 80}}) == f"http://{address}"
    given = SystemSettings.from_environment({"FATHOM_DASHBOARD_HOST": host, "FATHOM_DASHBOARD_PORT": "80"})
    # Ray's dashboard listens on 127.0.0.1 when it is told ::1.
    assert given.dashboard_url == f"http://{address}".replace("[::1]", "127.0.0.1")


def test_an_address_may_be_given_with_the_brackets_of_urls() -> None:
    assert SystemSettings.from_environment({"FATHOM_HTTP_HOST": "[::1]"}).http_host == "::1"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:hush@redis.example:7000/2", "redis.example:7000"),
        ("rediss://:hush@redis.example", "redis.example:6379"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
        ("unix://user:hush@/run/redis.sock?db=1", "/run/redis.sock"),
        ("redis://", "localhost:6379"),
        ("redis://[fd00::7]:7000", "[fd00::7]:7000"),
        ("redis://:hush@[fd00::7]", "[fd00::7]:6379"),
        ("redis+sentinel://:hush@a:26379,b:26380/first/0", "first of a:26379,b:26380"),
        ("rediss+sentinel://a,[fd00::7]/first?sentinel_password=hush", "first of a:26379,[fd00::7]:26379"),
        # Whatever somebody wrote, the system that is up does not end over it, and tells no part of a password.
        ("redis://:hush/hush@redis.example:7000/2", "redis.example:7000"),
        ("redis://:hush?hush@redis.example:7000/2", "as REDIS_URL says"),
        ("redis://:hush#hush@redis.example:7000/2", "redis.example:7000"),
        ("redis://:hu@sh@redis.example", "redis.example:6379"),
        ("redis://redis.example:hush", "as REDIS_URL says"),
        ("redis://[hush", "as REDIS_URL says"),
        ("redis+sentinel://a,b/first?sentinel_password=hu@sh", "as REDIS_URL says"),
        ("hush", "localhost:6379"),
    ],
)
def test_the_address_of_redis_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redis_address(url, 6379) == shown
    assert "hush" not in shown


def test_the_embedded_redis_is_shown_and_none_is_not() -> None:
    assert redis_address("", 6379) == "localhost:6379"
    assert redis_address("", None) == ""


def test_the_record_keeps_no_secret_and_ends_with_its_process(tmp_path: Path) -> None:
    environ = {
        "FATHOM_HTTP_PORT": "1",
        "RAY_AUTH_MODE": "token",
        "REDIS_URL": "redis://:hush@h",
        "RAY_AUTH_TOKEN": "t",
    }
    write_record(tmp_path, environ)
    record = read_record(tmp_path)
    assert record.pid == os.getpid()
    assert record.environment == {"FATHOM_HTTP_PORT": "1", "RAY_AUTH_MODE": "token"}
    assert record.has_real_redis
    assert "hush" not in (tmp_path / "system.json").read_text()

    note = json.loads((tmp_path / "system.json").read_text())
    (tmp_path / "system.json").write_text(json.dumps(note | {"started_at_s": note["started_at_s"] - 100}))
    assert read_record(tmp_path).pid == 0, "another process has got the number since"
    remove_record(tmp_path)
    assert read_record(tmp_path).pid == 0


def test_a_folder_that_serves_a_system_takes_no_second_one(tmp_path: Path) -> None:
    write_record(tmp_path, {})
    file = tmp_path / "empty.yaml"
    file.write_text("applications: []\n")
    environ = {"FATHOM_DATA_DIR": str(tmp_path), "RAY_AUTH_MODE": "disabled"} | free_settings()
    with pytest.raises(LaunchError, match=rf"runs in .* already \(process {os.getpid()}\); set FATHOM_DATA_DIR"):
        serve_command.serve(file, False, environ)


def free_settings() -> dict[str, str]:
    http, dashboard = free_ports(2)
    return {"FATHOM_HTTP_PORT": f"{http}", "FATHOM_DASHBOARD_PORT": f"{dashboard}"}


def test_a_new_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    with one_change_at_a_time(folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LaunchError, match="set FATHOM_DATA_DIR to a folder that can"):
        open_folder(tmp_path / "file" / "folder")


def test_check_tells_the_problems_of_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("applications: []\nzzz: 1\n")
    assert main(["check", *map(str, tmp_path.glob("*.yaml"))]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2
    assert all("zzz: unknown key" in line for line in errors)


def test_a_file_that_is_not_there_is_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["deploy", "/nowhere.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("/nowhere.yaml: cannot be read")


ORPHAN_MAKER = """
import os, subprocess, sys
from serve_app.launcher.processes.process_tree import adopt_orphans, end_descendants
adopt_orphans()
# A daemon in a session of its own that ignores SIGTERM, whose parent ends at once.
daemon = (
    "import os, signal, sys, time\\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
    "print(os.getpid(), flush=True)\\n"
    "time.sleep(600)\\n"
)
starter = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]], start_new_session=True)"
with subprocess.Popen([sys.executable, "-c", starter, daemon], stdout=subprocess.PIPE, text=True) as child:
    print(child.stdout.readline().strip(), flush=True)
    child.wait()
print(len(end_descendants(0.5)), flush=True)
"""


def test_no_process_stays_behind_whatever_its_session(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN_MAKER], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    daemon, told = map(int, done.stdout.split())
    assert told == 1
    assert not psutil.pid_exists(daemon)


SAVER = """#!/bin/bash
# Writes what it has when it is told to end, which takes it a while, and notes whether the other was there then.
cd "$1"
trap 'kill -0 $2; echo other=$? > seen; read -t 2 <> pipe; echo all > saved; exit' TERM
echo > ready
while :; do read -t 1 <> pipe; done
"""

OTHER = """#!/bin/bash
# Does not end when it is told to.
cd "$1"
trap "" TERM
while :; do read -t 1 <> pipe; done
"""

SAVER_MAKER = """
import pathlib, subprocess, sys
from serve_app.launcher.processes.process_tree import end_descendants
folder = sys.argv[1]
other = subprocess.Popen([f"{folder}/other", folder])
subprocess.Popen([f"{folder}/saver", folder, str(other.pid)])
while not pathlib.Path(folder, "ready").exists():
    pass
print(sorted(end_descendants(0.3, "saver", 30.0)), flush=True)
"""


def test_what_keeps_data_is_ended_last_and_may_write_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, script in (("saver", SAVER), ("other", OTHER)):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", SAVER_MAKER, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "['other', 'saver']"
    assert (tmp_path / "saved").read_text() == "all\n"
    assert (tmp_path / "seen").read_text() == "other=1\n", "what asks things of it has ended before"
