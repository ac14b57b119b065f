"""The foreground in a process of its own, over stand-ins for the system's process."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[3]
DRIVER = Path(__file__).with_name("supervisor_driver.py")

UNBLOCK = "import signal, sys, time; signal.pthread_sigmask(signal.SIG_SETMASK, []);"
STOPS_IN_ORDER = UNBLOCK + "signal.signal(signal.SIGINT, lambda *_: sys.exit(0)); time.sleep(600)"
NEVER_STOPS = UNBLOCK + "signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)"
DIES = "raise ValueError('no such disk')"


@dataclass
class Driven:
    """A foreground at work. output: its standard output, line by line."""

    process: subprocess.Popen[str]

    def said(self, text: str) -> str:
        """Reads on to the line with `text`; fails when the output ends before."""
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if text in line:
                return line
        pytest.fail(f"{text!r} was not said; said: {seen}")

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)


@contextmanager
def driven(url: str, log: Path, code: str, grace_s: float = 30, door: str = "") -> Iterator[Driven]:
    with subprocess.Popen(
        [sys.executable, str(DRIVER), url, str(log), str(grace_s), code, door],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        # A run under nohup ignores hang-ups, and the launcher would inherit that, as it should.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as process:
        try:
            yield Driven(process)
        finally:
            left = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
            for one in (process, *left):
                one.kill()
