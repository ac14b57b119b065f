"""Which processes a running system needs, and which of them have died: found by the names that Ray, HAProxy and
Valkey give their processes."""

import math
import os
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil

from serve_app.launcher.fork_server.rays_python import SERVER
from serve_app.launcher.processes.process_tree import lives

_LEARN_INTERVAL_S = 30.0
"""How often new processes are looked for, such as a Valkey that was added to the running system."""

_HEALING_TIMEOUT_S = 120.0

VALKEY = "valkey-server"

DAEMON_WITHIN_S = 5.0
"""Valkey makes itself a daemon: the process that was started ends as soon as its child has taken over."""


class Consequence(Enum):
    """What follows from a death, as the launcher words it."""

    END = "the system cannot go on without it"
    HEALED = "another is being started"
    MISSED = "the system goes on without it"


@dataclass(frozen=True, slots=True)
class ProcessKind:
    """A kind of process that the system has."""

    name: str
    """As `shown_name` gives it."""

    log: str
    """File or folder in Ray's folder of logs; Valkey has its own log."""

    consequence: Consequence
    """What follows when it dies."""

    hands_over_within_s: float | None = None
    """It ends on purpose once another has taken over that started at most so much later; None for never."""


KINDS = (
    ProcessKind("gcs_server", "gcs_server.out", Consequence.END),
    ProcessKind("raylet", "raylet.out", Consequence.END),
    ProcessKind("ray::DashboardAgent", "dashboard_agent.log", Consequence.END),
    ProcessKind("ray::RuntimeEnvAgent", "runtime_env_agent.log", Consequence.END),
    ProcessKind("dashboard.py", "dashboard.log", Consequence.END),
    ProcessKind("ray-dashboard-ServeHead", "dashboard_ServeHead.log", Consequence.HEALED),
    ProcessKind("ray::ServeController", "serve", Consequence.HEALED),
    ProcessKind("ray::HAProxyManager", "serve", Consequence.HEALED),
    ProcessKind("ray::ProxyActor", "serve", Consequence.HEALED),
    ProcessKind("haproxy", "serve", Consequence.HEALED, hands_over_within_s=math.inf),
    ProcessKind(VALKEY, "", Consequence.HEALED, DAEMON_WITHIN_S),
    ProcessKind("log_monitor.py", "log_monitor.log", Consequence.MISSED),
    ProcessKind("monitor.py", "monitor.log", Consequence.MISSED),
    ProcessKind(SERVER, "", Consequence.MISSED),
)
_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class _Found:
    """A running process of a known kind."""

    kind: ProcessKind
    pid: int

    command: tuple[str, ...]
    """Its command line."""

    started_at_s: float
    """Unix time."""


class Deaths:
    """Watches the descendants of this process that are of KINDS."""

    def __init__(self) -> None:
        self.lost = False
        """Whether one has died that is not replaced."""
        self._alive: dict[psutil.Process, _Found] = {}
        self._missing_since_s: dict[ProcessKind, float] = {}
        self._learn_at_s = 0.0
        self._logs = Path("/tmp/ray/session_latest/logs")

    def poll(self, is_starting: bool) -> list[str]:
        """One line for each of them that has died, or is back, since the last poll.

        is_starting: whether more of them are still to come.
        """
        dead = [self._alive.pop(process) for process in list(self._alive) if not lives(process)]
        new: list[_Found] = []
        if is_starting or dead or self._missing_since_s or time.monotonic() >= self._learn_at_s:
            new = self._learn()
        return [*self._deaths(dead), *self._returns(new)]

    def _learn(self) -> list[_Found]:
        now_s = time.monotonic()
        self._learn_at_s = now_s + _LEARN_INTERVAL_S
        new: dict[psutil.Process, _Found] = {}
        for process in psutil.Process().children(recursive=True):
            if process in self._alive:
                continue
            command = _command(process)
            kind = _BY_NAME.get(shown_name(command))
            if kind is not None and lives(process) and not _is_starting(process, command):
                new[process] = _Found(kind, process.pid, command, process.create_time())
                folder = next((word for word in command if word.startswith("--log_dir=")), None)
                if kind.name == "gcs_server" and folder is not None:
                    self._logs = Path(folder.partition("=")[2])
        self._alive |= new
        return list(new.values())

    def _deaths(self, dead: list[_Found]) -> list[str]:
        dead = [found for found in dead if not self._has_handed_over(found)]
        lost = [found for found in dead if found.kind.consequence is Consequence.END]
        self.lost = self.lost or bool(lost)
        # What dies with the raylet is not worth a line beside the raylet itself.
        reported = lost or dead
        for found in reported:
            if found.kind.consequence is Consequence.HEALED:
                self._missing_since_s.setdefault(found.kind, time.monotonic())
        return [
            f"{one.kind.name} (process {one.pid}) has died; {one.kind.consequence.value}; log: {self._log(one)}"
            for one in reported
        ]

    def _has_handed_over(self, dead: _Found) -> bool:
        within_s = dead.kind.hands_over_within_s
        # Start times are kept in hundredths of a second, in which a daemon's child is as old as the daemon.
        return within_s is not None and any(
            other.kind is dead.kind and 0 <= other.started_at_s - dead.started_at_s <= within_s
            for other in self._alive.values()
        )

    def _returns(self, new: list[_Found]) -> list[str]:
        now_s = time.monotonic()
        lines = [
            f"{found.kind.name} is back (process {found.pid}) after {now_s - since_s:.0f} s"
            for found in new
            if (since_s := self._missing_since_s.pop(found.kind, None)) is not None
        ]
        # What is not back by now was removed on purpose, or whatever should restart it reports why it cannot.
        overdue = [kind for kind, since_s in self._missing_since_s.items() if now_s - since_s > _HEALING_TIMEOUT_S]
        for kind in overdue:
            del self._missing_since_s[kind]
        return lines

    def _log(self, found: _Found) -> Path:
        if found.kind.name == VALKEY:
            return Path(found.command[-1]).with_name("valkey.log")
        return self._logs / found.kind.log


def shown_name(command: tuple[str, ...]) -> str:
    """What people call the process with this command line: its program, its script, or the title that Ray gave it; ''
    for none."""
    if not command or not command[0].strip():
        return ""
    program = os.path.basename(command[0].split()[0])
    if program.startswith("python"):
        script = next((word for word in command[1:] if not word.startswith("-")), "")
        return os.path.basename(script)
    # Ray appends the running method to a name, or a number when the name is taken.
    if program.startswith("ray::"):
        return program.partition(".")[0]
    return program.rstrip("0123456789").rstrip("-") if program.startswith("ray-dashboard-") else program


def _is_starting(process: psutil.Process, command: tuple[str, ...]) -> bool:
    """Whether it is still a copy of its parent, which it was forked from, and will run another program in a moment:
    on a busy machine a worker that the raylet starts looks like a second raylet for so long. A Valkey that makes
    itself a daemon is one too, until its parent has ended."""
    try:
        parent = process.parent()
    except psutil.Error:
        return True
    return parent is not None and _command(parent) == command


def _command(process: psutil.Process) -> tuple[str, ...]:
    try:
        return tuple(process.cmdline())
    except psutil.Error:
        return ()
