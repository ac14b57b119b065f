"""What is said reaches whatever terminal there is, and a terminal that has gone ends nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SPEAKER = """
from serve_app.launcher.console import say_error, say
say("n\\xe9 \\u2192 n\\xe9")
say_error("\\u2192")
say("and goes on")
"""


def speak(environ: dict[str, str], shell_suffix: str = "") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {shell_suffix}', sys.executable, SPEAKER],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"} | environ,
        capture_output=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"PYTHONIOENCODING": "ascii:strict"},
    ],
)
def test_letters_that_a_terminal_has_not_are_written_by_number(environ: dict[str, str]) -> None:
    done = speak(environ)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, b"n\\xe9 \\u2192 n\\xe9")
    assert done.stdout.endswith(b"and goes on\n")
    assert done.stderr == b"\\u2192\n"


def test_a_path_that_is_no_text_is_told_all_the_same() -> None:
    code = "import sys; from serve_app.launcher.console import say; say(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, b"\xff"],
        cwd=ROOT,
        env={"PYTHONIOENCODING": "utf-8:strict"},
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == b"\\udcff\n"


def test_letters_that_a_terminal_has_are_written_as_they_are() -> None:
    assert speak({"PYTHONUTF8": "1"}).stdout.decode() == "né → né\nand goes on\n"


@pytest.mark.parametrize("suffix", [">&-", ">/dev/full", ">&- 2>&-"])
def test_a_terminal_that_takes_nothing_ends_nothing(suffix: str) -> None:
    assert speak({"PYTHONUTF8": "1"}, suffix).returncode == 0


def test_a_reader_that_has_left_ends_nothing() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-c", SPEAKER], cwd=ROOT, stdout=pipe, stderr=subprocess.PIPE, timeout=30, check=False
        )
    assert done.returncode == 0
    assert b"Error" not in done.stderr
