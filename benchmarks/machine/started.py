"""A system that was started: its first process, its log, its end. Nothing of it outlives `stop`.

Knows processes only, and nothing of what runs in them.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.machine.usage import MARK, Usage, forget_peaks, processes_marked, processes_of, usage_of

POLL_INTERVAL_S = 0.1

_RUN = secrets.token_hex(8)
"""Begins the mark of everything that this process starts."""


class StartError(Exception):
    """A system did not come up; the message has its last words."""


class Started:
    """One command, started in a session of its own: the terminal's Ctrl-C reaches the bench only."""

    def __init__(self, name: str, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        self.name = name
        self._mark = f"{_RUN}-{secrets.token_hex(4)}"
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environ, MARK: self._mark},
                # And no `preexec_fn`: with one, Python runs its hooks of a fork here, and an interrupt that
                # comes during a hook is printed and lost.
                start_new_session=True,
            )

    def processes(self) -> list[psutil.Process]:
        """All living processes of the system."""
        return processes_of(self._process.pid, self._mark)

    def usage(self) -> Usage:
        """What its processes have used until now."""
        return usage_of(self.processes())

    def forget_peaks(self) -> None:
        """Memory peaks count from now on."""
        forget_peaks(self.processes())

    def wait_until(self, is_ready: Callable[[], bool], timeout_s: float) -> float:
        """Seconds until `is_ready`. Raises StartError when it ends before, or takes longer."""
        began_at_s = time.monotonic()
        while not is_ready():
            if self._process.poll() is not None:
                raise StartError(f"{self.name} ended with status {self._process.returncode}\n{self.last_words()}")
            if time.monotonic() - began_at_s > timeout_s:
                raise StartError(f"{self.name} was not ready within {timeout_s:g} s\n{self.last_words()}")
            time.sleep(POLL_INTERVAL_S)
        return time.monotonic() - began_at_s

    def last_words(self) -> str:
        """The end of its log."""
        with contextlib.suppress(OSError):
            return self._log.read_bytes()[-3000:].decode("utf-8", "replace")
        return ""

    def stop(self, grace_s: float = 45.0) -> None:
        """Asks with SIGINT, waits, then kills whatever is left. May be called twice."""
        left = self.processes()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace_s)
        seen = {process.pid: process for process in [*left, *self.processes()]}
        for process in seen.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(list(seen.values()), timeout=10.0)
        self._process.wait()


def end_everything() -> None:
    """Kills whatever this process has started and not stopped: an interrupt may come just after a start, before
    anybody has taken charge of what was started."""
    left = {process.pid: process for process in psutil.Process().children(recursive=True)}
    left |= {process.pid: process for process in processes_marked(lambda mark: mark.startswith(_RUN))}
    for process in left.values():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(list(left.values()), timeout=10.0)
