"""Which processes a running system cannot do without, and which of them have died.

Knows the names that Ray, HAProxy and Valkey give their processes; reads the process table and nothing else.
"""

import os
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil

from serve_app.launcher.processes.process_tree import lives

_LEARN_EVERY_S = 30.0
"""What comes later, such as a Valkey that was added to the running system, is watched from then on."""


_HEALING_S = 120.0

VALKEY = "valkey-server"


class Outcome(Enum):
    """What follows from a death, as the launcher words it."""

    END = "the system cannot go on without it"
    HEALED = "another is being started"
    MISSED = "the system goes on without it"


@dataclass(frozen=True, slots=True)
class Kind:
    """A process that the system has. name: as `shown_name` gives it.  log: in Ray's folder; Valkey has its own.

    hands_over: it ends on purpose as soon as a younger one has taken over from it.
    """

    name: str
    log: str
    outcome: Outcome
    hands_over: bool = False


KINDS = (
    Kind("gcs_server", "gcs_server.out", Outcome.END),
    Kind("raylet", "raylet.out", Outcome.END),
    Kind("ray::DashboardAgent", "dashboard_agent.log", Outcome.END),
    Kind("ray::RuntimeEnvAgent", "runtime_env_agent.log", Outcome.END),
    Kind("dashboard.py", "dashboard.log", Outcome.END),
    Kind("ray-dashboard-ServeHead", "dashboard_ServeHead.log", Outcome.HEALED),
    Kind("ray::ServeController", "serve", Outcome.HEALED),
    Kind("ray::HAProxyManager", "serve", Outcome.HEALED),
    Kind("ray::ProxyActor", "serve", Outcome.HEALED),
    Kind("haproxy", "serve", Outcome.HEALED, hands_over=True),
    Kind(VALKEY, "", Outcome.HEALED),
    Kind("log_monitor.py", "log_monitor.log", Outcome.MISSED),
    Kind("monitor.py", "monitor.log", Outcome.MISSED),
)
_BY_NAME = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class _Found:
    """A process of a kind. command: its command line.  started_at_s: Unix time."""

    kind: Kind
    pid: int
    command: tuple[str, ...]
    started_at_s: float


class Deaths:
    """Watches over the descendants of this process that are of KINDS."""

    def __init__(self) -> None:
        self.lost = False
        """Whether one has died that nobody replaces."""
        self._alive: dict[psutil.Process, _Found] = {}
        self._missing_since_s: dict[Kind, float] = {}
        self._learn_at_s = 0.0
        self._logs = Path("/tmp/ray/session_latest/logs")

    def look(self, is_starting: bool) -> list[str]:
        """One line for each of them that has died, or is back, since the last look.

        is_starting: whether more of them are still to come.
        """
        dead = [self._alive.pop(process) for process in list(self._alive) if not lives(process)]
        new: list[_Found] = []
        if is_starting or dead or self._missing_since_s or time.monotonic() >= self._learn_at_s:
            new = self._learn()
        return [*self._deaths(dead), *self._returns(new)]

    def _learn(self) -> list[_Found]:
        now_s = time.monotonic()
        self._learn_at_s = now_s + _LEARN_EVERY_S
        new: dict[psutil.Process, _Found] = {}
        for process in psutil.Process().children(recursive=True):
            if process in self._alive:
                continue
            command = _command(process)
            kind = _BY_NAME.get(shown_name(command))
            if kind is not None and lives(process):
                new[process] = _Found(kind, process.pid, command, process.create_time())
                folder = next((word for word in command if word.startswith("--log_dir=")), None)
                if kind.name == "gcs_server" and folder is not None:
                    self._logs = Path(folder.partition("=")[2])
        self._alive |= new
        return list(new.values())

    def _deaths(self, dead: list[_Found]) -> list[str]:
        dead = [found for found in dead if not self._has_handed_over(found)]
        lost = [found for found in dead if found.kind.outcome is Outcome.END]
        self.lost = self.lost or bool(lost)
        # What dies with the raylet is no news beside the raylet's own death.
        told = lost or dead
        for found in told:
            if found.kind.outcome is Outcome.HEALED:
                self._missing_since_s.setdefault(found.kind, time.monotonic())
        return [
            f"{one.kind.name} (process {one.pid}) has died; {one.kind.outcome.value}; log: {self._log(one)}"
            for one in told
        ]

    def _has_handed_over(self, dead: _Found) -> bool:
        return dead.kind.hands_over and any(
            other.kind is dead.kind and other.started_at_s > dead.started_at_s for other in self._alive.values()
        )

    def _returns(self, new: list[_Found]) -> list[str]:
        now_s = time.monotonic()
        told = [
            f"{found.kind.name} is back (process {found.pid}) after {now_s - since_s:.0f} s"
            for found in new
            if (since_s := self._missing_since_s.pop(found.kind, None)) is not None
        ]
        # What is not back by now was taken away on purpose, or its healer tells of it in its own words.
        overdue = [kind for kind, since_s in self._missing_since_s.items() if now_s - since_s > _HEALING_S]
        for kind in overdue:
            del self._missing_since_s[kind]
        return told

    def _log(self, found: _Found) -> Path:
        if found.kind.name == VALKEY:
            return Path(found.command[-1]).with_name("valkey.log")
        return self._logs / found.kind.log


def shown_name(command: tuple[str, ...]) -> str:
    """What a person calls the process with this command line: its program, its script, or the title that Ray gave
    it; '' for none."""
    if not command or not command[0].strip():
        return ""
    program = os.path.basename(command[0].split()[0])
    if program.startswith("python"):
        script = next((word for word in command[1:] if not word.startswith("-")), "")
        return os.path.basename(script)
    # Ray puts the method that runs behind a name, or how many had the name before.
    if program.startswith("ray::"):
        return program.partition(".")[0]
    return program.rstrip("0123456789").rstrip("-") if program.startswith("ray-dashboard-") else program


def _command(process: psutil.Process) -> tuple[str, ...]:
    try:
        return tuple(process.cmdline())
    except psutil.Error:
        return ()
