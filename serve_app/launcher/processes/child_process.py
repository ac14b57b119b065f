"""The child process that holds the system, and the signals that ask to stop it.

Signals are blocked and fetched with sigtimedwait, so that no code here is ever interrupted half-way.
"""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from deployments.text.error_text import cause_in, last_line
from serve_app.launcher.processes.log_file import DEFAULT_MAX_BYTES, keep_small, open_log
from serve_app.launcher.processes.process_tree import adopt_orphans, reap_orphans

_LAST_WORDS_BYTES = 20_000


class StopSignals:
    """Counts the requests to stop: SIGINT, SIGTERM, and SIGHUP unless it was ignored from the start (nohup)."""

    def __init__(self) -> None:
        self.count = 0
        self._awaited = {signal.SIGINT, signal.SIGTERM, signal.SIGCHLD}
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            self._awaited.add(signal.SIGHUP)

    def block(self) -> None:
        """From now on, signals wait until `wait` fetches them."""
        signal.pthread_sigmask(signal.SIG_BLOCK, self._awaited)

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """Meanwhile signals do what they do in any program, as nothing has been started that has to be stopped."""
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._awaited)
        try:
            yield
        finally:
            self.block()

    def wait(self, timeout_s: float) -> None:
        """Waits for a stop signal, which is counted, or for the end of any child; at most `timeout_s`."""
        info = signal.sigtimedwait(self._awaited, timeout_s)
        if info is not None and info.si_signo != signal.SIGCHLD:
            self.count += 1


class SystemProcess:
    """`command` as a child in a session of its own: the terminal's Ctrl-C does not reach it.

    log: file for its output; None for the terminal.
    max_log_bytes: size from which the file starts over.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path | None,
        environ: Mapping[str, str],
        max_log_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        adopt_orphans()
        self._log = log
        self._max_log_bytes = max_log_bytes
        if log is None:
            self._child = _popen(command, None, environ)
        else:
            with open_log(log) as output:
                self._child = _popen(command, output, environ)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def has_ended(self) -> bool:
        """Whether the child is gone. Also reaps adopted processes that have ended, and bounds the log."""
        ended = self._child.poll() is not None
        reap_orphans(besides_pid=self._child.pid)
        if self._log is not None:
            keep_small(self._log, self._max_log_bytes)
        return ended

    def interrupt(self) -> None:
        """Asks the child, and it alone, to drain and stop."""
        self._child.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Ends the child and its process group at once."""
        os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def last_words(self) -> str:
        """Why the child has ended, as far as its log tells, in one line."""
        status = f"exit status {self._child.returncode}"
        if self._log is None:
            return status
        text = self._log.read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS_BYTES:]
        cause = cause_in(text) if "Traceback" in text else last_line(text, "it said nothing")
        return f"{cause} ({status}, log: {self._log})"


def _popen(command: Sequence[str], output: IO[bytes] | None, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT if output else None,
        env=dict(environ),
        start_new_session=True,
    )
