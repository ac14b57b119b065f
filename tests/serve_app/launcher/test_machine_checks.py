"""Machines as they are: each environment works, or is refused at once in words that name the cause and the remedy."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.configuration.ray_variables import for_ray
from serve_app.launcher.console import LaunchError
from serve_app.launcher.machine_checks import (
    LONGEST_RAY_FOLDER,
    object_store_options,
    ray_folder,
    refuse_full_disk,
    shared_memory_warning,
    variables_for_folders,
)
from serve_app.launcher.processes.ports import free_ports

ROOT = Path(__file__).parents[3]
LONG = "/tmp/" + "t" * 150


def changes(**environ: str) -> dict[str, str]:
    return variables_for_folders(SystemSettings.from_environment(environ), environ)


@pytest.mark.parametrize(
    ("environ", "changed"),
    [
        ({}, {}),
        ({"TMPDIR": ""}, {}),
        ({"TMPDIR": "/tmp"}, {}),
        ({"TMPDIR": "/tmp/"}, {}),
        ({"TMPDIR": "/var/tmp"}, {}),
        ({"RAY_TMPDIR": "/var/tmp"}, {}),
        # Too long for the names of sockets, or no folder at all: /tmp does.
        ({"TMPDIR": LONG}, {"TMPDIR": "/tmp", "FATHOM_RAY_TEMP_DIR": "/tmp/ray"}),
        ({"TMPDIR": "/proc/nowhere"}, {"TMPDIR": "/tmp", "FATHOM_RAY_TEMP_DIR": "/tmp/ray"}),
        ({"TMPDIR": "/dev/null"}, {"TMPDIR": "/tmp", "FATHOM_RAY_TEMP_DIR": "/tmp/ray"}),
        ({"RAY_TMPDIR": LONG}, {"FATHOM_RAY_TEMP_DIR": "/tmp/ray"}),
        # A short folder of one's own is used in spite of a long TMPDIR.
        ({"TMPDIR": LONG, "FATHOM_RAY_TEMP_DIR": "/tmp/r"}, {"TMPDIR": "/tmp"}),
        ({"FATHOM_RAY_TEMP_DIR": "/tmp/" + "r" * (LONGEST_RAY_FOLDER - 5)}, {}),
    ],
)
def test_a_folder_for_sockets_is_found(environ: dict[str, str], changed: dict[str, str]) -> None:
    assert changes(**environ) == changed


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("/tmp/" + "r" * (LONGEST_RAY_FOLDER - 4), "has 40 characters and may have 39"),
        ("/proc/nowhere", "has 0 MiB free"),
        ("/dev/null", "cannot be used"),
        ("/dev/null/ray", "cannot be used"),
        ("/tmp/a b", "has a space in its name"),
    ],
)
def test_a_folder_that_was_asked_for_and_does_not_do_is_refused(folder: str, reason: str) -> None:
    with pytest.raises(LaunchError) as refused:
        changes(FATHOM_RAY_TEMP_DIR=folder)
    (problem,) = refused.value.problems
    assert problem.startswith(f"FATHOM_RAY_TEMP_DIR: {folder} {reason}")
    assert problem.endswith("set FATHOM_RAY_TEMP_DIR to another folder for Ray's sockets and logs")


@pytest.mark.parametrize("name", ["t" * 40, "a b"])
def test_a_folder_that_python_can_use_and_ray_cannot_is_left_to_python(tmp_path: Path, name: str) -> None:
    folder = Path("/tmp", f"{name}-{tmp_path.name}"[:60])
    folder.mkdir()
    try:
        assert changes(TMPDIR=str(folder)) == {"FATHOM_RAY_TEMP_DIR": "/tmp/ray"}
    finally:
        folder.rmdir()


def test_sockets_fit_where_the_longest_folder_is_used() -> None:
    session = f"session_2026-11-28_14-49-22_458487_{2**22}"
    longest = Path("/", "r" * (LONGEST_RAY_FOLDER - 1), session, "sockets", "dash_MetricsHead")
    assert len(str(longest)) == 107


def test_a_full_disk_is_told_with_the_variable_that_moves_the_folder(tmp_path: Path) -> None:
    refuse_full_disk(tmp_path, "FATHOM_DATA_DIR")
    with pytest.raises(LaunchError, match=r"MiB free and needs 1099511627776; .* set FATHOM_DATA_DIR to a folder"):
        refuse_full_disk(tmp_path, "FATHOM_DATA_DIR", 2**60)


def test_without_shared_memory_images_pass_through_files_and_a_warning_says_so(tmp_path: Path) -> None:
    assert (object_store_options(tmp_path), shared_memory_warning(tmp_path)) == ({}, "")
    unwritable = Path("/proc/self")
    assert object_store_options(tmp_path, unwritable) == {"_plasma_directory": str(tmp_path)}
    assert shared_memory_warning(unwritable).startswith("/proc/self cannot be written: images pass")
    with pytest.raises(LaunchError, match="missing is missing and Ray does not start without it"):
        shared_memory_warning(tmp_path / "missing")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small shared memory")
def test_a_shared_memory_that_is_too_small_for_ray_is_told(tmp_path: Path) -> None:
    look = f"from pathlib import Path; from {shared_memory_warning.__module__} import shared_memory_warning; "
    look += f"print(shared_memory_warning(Path({str(tmp_path)!r})))"
    script = f"mount -t tmpfs -o size=8m tmpfs {tmp_path} && {shlex.join([sys.executable, '-c', look])}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("nothing may be mounted here")
    assert done.stdout.startswith(f"{tmp_path} has 8 MiB free, and Ray would use "), done.stderr
    assert "images pass between processes through files" in done.stdout


def test_ray_is_told_of_by_the_variable_that_moves_it() -> None:
    environ = {"TMPDIR": "/var/tmp"}
    assert ray_folder(SystemSettings.from_environment(environ), environ) == (Path("/var/tmp/ray"), "TMPDIR")


@pytest.mark.parametrize("folder", ["/tmp/two\nlines", "/tmp/\udcff", "/tmp/bell\a"])
@pytest.mark.parametrize("name", ["FATHOM_DATA_DIR", "FATHOM_RAY_TEMP_DIR"])
def test_a_folder_whose_name_is_no_line_of_text_is_refused(name: str, folder: str) -> None:
    with pytest.raises(LaunchError, match=f"{name}: must have no line breaks"):
        SystemSettings.from_environment({name: folder})


@pytest.mark.parametrize("encoding", ["", "ascii", "latin-1:strict"])
def test_no_letter_ends_a_process_of_the_system(encoding: str) -> None:
    environ = for_ray({"PYTHONIOENCODING": encoding, "LC_ALL": "C"})
    assert environ["PYTHONIOENCODING"].endswith(":backslashreplace")
    assert environ["PYTHONUTF8"] == "1"


HOMELESS = """
import os
from deployments.errors import ModelUnavailable
from deployments.weights.settings import WeightsSettings
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.ray_token import ensure_token
from serve_app.launcher.console import LaunchError

os.setuid(54321)
for ask in (
    lambda: SystemSettings.from_environment({}).folder,
    lambda: ensure_token({"RAY_AUTH_MODE": "token"}),
    lambda: WeightsSettings.from_environment({}).folder,
):
    try:
        ask()
    except (LaunchError, ModelUnavailable) as error:
        print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without a home")
def test_a_user_without_a_home_is_told_what_to_set() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOMELESS], cwd=ROOT, env={}, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == [
        "this user has no home folder; set FATHOM_DATA_DIR to a folder, or HOME",
        "this user has no home folder; set RAY_AUTH_TOKEN_PATH to a file for Ray's token, or HOME",
        "this user has no home folder; set FATHOM_WEIGHTS_DIR to a folder, or HOME",
    ]


def start(tmp_path: Path, environ: dict[str, str], before: str = "") -> "subprocess.CompletedProcess[str]":
    """`make serve` of a system without applications; `before`: what the shell does first."""
    config = tmp_path / "system.yaml"
    config.write_text("applications: []\n")
    http, dashboard = free_ports(2)
    given = {
        "FATHOM_HTTP_PORT": str(http),
        "FATHOM_DASHBOARD_PORT": str(dashboard),
        "FATHOM_DATA_DIR": str(tmp_path / "data"),
        "RAY_AUTH_MODE": "disabled",
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
    }
    command = shlex.join([sys.executable, "-m", "serve_app.launch", "serve", str(config)])
    return subprocess.run(
        ["sh", "-c", f"{before or ':'} && exec {command}"],
        cwd=ROOT,
        env=given | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("environ", "before", "words"),
    [
        ({}, "ulimit -n 512", ["512 files open", "ulimit -Hn"]),
        ({}, "ulimit -f 2048", ["a file may have 1 MiB", "ulimit -f"]),
        ({"FATHOM_RAY_TEMP_DIR": LONG}, "", ["FATHOM_RAY_TEMP_DIR", "155 characters"]),
        ({"FATHOM_DATA_DIR": "/dev/null/data"}, "", ["/dev/null/data: cannot be used", "FATHOM_DATA_DIR"]),
        ({"FATHOM_DATA_DIR": "/proc/data"}, "", ["/proc/data: cannot be used", "FATHOM_DATA_DIR"]),
        ({"FATHOM_HTTP_HOST": "no.such.machine.invalid"}, "", ["FATHOM_HTTP_PORT", "no.such.machine.invalid"]),
        ({"FATHOM_HTTP_HOST": "y" * 300}, "", ["FATHOM_HTTP_PORT", "cannot be used on yyy"]),
        ({"RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": "x"}, "", ["`RAY_SERVE_FALLBACK_PROXY_HTTP_PORT` value `x`"]),
        ({"RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": "70000"}, "", ["RAY_SERVE_FALLBACK_PROXY_HTTP_PORT: must be a port"]),
        (
            {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/dev/null/token"},
            "",
            ["/dev/null/token: the token for Ray cannot be written", "RAY_AUTH_TOKEN_PATH"],
        ),
    ],
)
def test_what_cannot_work_ends_at_once_in_one_line(
    tmp_path: Path, environ: dict[str, str], before: str, words: list[str]
) -> None:
    done = start(tmp_path, environ, before)
    assert done.returncode == 2, done.stdout
    (line,) = done.stderr.splitlines()
    assert [word for word in words if word not in line] == []
