"""A renewed certificate comes into use without a restart: its files are looked at, and HAProxy is told by its socket.

HAProxy reads a copy of ours, and not the files of the user: Ray starts it anew at each change of the replicas, and it
would not start with a pair that is half renewed.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from serve_app.launcher.proxy.certificate import Certificate, CertificateError, CertificateFiles, read_certificate

_PATIENCE_S = 10.0
"""Whoever renews writes two files, one after the other: until then a pair that does not fit is no news."""

_SOCKET_TIMEOUT_S = 2.0
_EXPIRY_PERIOD_S = 86400.0
"""Between two reminders that it expires."""

_DONE = "Success!"


def write_certificate(certificate: Certificate, path: Path) -> None:
    """Writes the file that HAProxy reads, for its owner only, all of it at once. Raises OSError."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(certificate.pem)
    new.replace(path)


class Renewal:
    """Looks at the user's files when it is asked.

    kept: the copy that HAProxy reads. control: HAProxy's socket as Ray is told it; Ray makes one for each node, in a
    folder beside it.
    """

    def __init__(
        self,
        files: CertificateFiles,
        kept: Path,
        control: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._kept = kept
        self._control = control
        self._clock = clock
        self._seen: object = None
        self._current: Certificate | None = None
        self._is_to_be_told = False
        self._broken_since_s: float | None = None
        self._is_reported = False
        self._remind_at_s = -1.0

    def poll(self) -> Iterator[str]:
        """A line for what is news: a new certificate is in use, one cannot be used, one expires soon."""
        yield from self._look()
        if self._is_to_be_told and self._current is not None and self._tell(self._current):
            self._is_to_be_told = False
            yield f"in use from now on: {self._current}"
        yield from self._remind()

    def _look(self) -> Iterator[str]:
        seen = [_state(path) for path in self._files.paths()]
        if seen == self._seen and self._broken_since_s is None:
            return
        try:
            found = read_certificate(self._files)
            if found.pem != self._kept.read_bytes():
                write_certificate(found, self._kept)
                self._is_to_be_told = True
        except (CertificateError, OSError) as error:
            if seen != self._seen or self._broken_since_s is None:
                self._seen, self._broken_since_s, self._is_reported = seen, self._clock(), False
            elif not self._is_reported and self._clock() - self._broken_since_s >= _PATIENCE_S:
                self._is_reported = True
                yield f"{error}; the certificate from before stays in use"
            return
        self._seen, self._current, self._broken_since_s = seen, found, None

    def _remind(self) -> Iterator[str]:
        if self._current is None or self._clock() < self._remind_at_s:
            return
        self._remind_at_s = self._clock() + _EXPIRY_PERIOD_S
        if datetime.now(UTC) >= self._current.soon:
            yield f"{self._files.certificate}: {self._current}, is to be renewed; it is read again when it changes"

    def _tell(self, certificate: Certificate) -> bool:
        """Whether every HAProxy of this system has it. One that starts meanwhile reads the file itself."""
        sockets = [*self._control.parent.glob(f"*/{self._control.name}")]
        return bool(sockets) and all([_has_taken(one, self._kept, certificate) for one in sockets])


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _has_taken(control: Path, name: Path, certificate: Certificate) -> bool:
    # An empty line ends the payload.
    payload = certificate.pem.decode("ascii").strip()
    with contextlib.suppress(OSError):
        if "Transaction" in _said(control, f"set ssl cert {name} <<\n{payload}\n\n"):
            return _DONE in _said(control, f"commit ssl cert {name}\n")
    return False


def _said(control: Path, command: str) -> str:
    """What HAProxy answers. Raises OSError, also when it takes too long."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_SOCKET_TIMEOUT_S)
        connection.connect(str(control))
        connection.sendall(command.encode("ascii"))
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace")
