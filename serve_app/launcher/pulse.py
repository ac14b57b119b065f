"""Asks a running system from time to time whether it still answers, since a process that lives may hang."""

import threading
import time
from dataclasses import dataclass

import httpx

from serve_app.launcher.dashboard_client import RunningSystem

_ANSWER_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class PulseTimes:
    """How often the system is asked, and how long a silence must last to mean something."""

    poll_interval_s: float = 10.0
    """A report costs the controller about 40 ms of a core."""

    door_timeout_s: float = 15.0
    """A silent door is reported after this time. The system goes on: a door is also silent under too many clients."""

    hang_timeout_s: float = 60.0
    """A controller that is silent for this long hangs. A busy machine answers one of several questions."""


@dataclass(frozen=True, slots=True)
class Door:
    """The HTTP door of a system that starts. application: its name.  address: where it is to answer."""

    application: str
    address: str

    def is_open(self) -> bool:
        """Whether the door itself answers there. A proxy may be there before it, and says so with a 503."""
        return _status_of(self.address) == httpx.codes.OK


class Silence:
    """How long a part of the system has not answered, and whether that was reported."""

    def __init__(self) -> None:
        self._answered_at_s = time.monotonic()
        self._was_reported = False

    def heard(self) -> float | None:
        """Ends the silence; how long it was, in seconds, if it was reported."""
        silent_s, was_reported = self.silent_s, self._was_reported
        self._answered_at_s, self._was_reported = time.monotonic(), False
        return silent_s if was_reported else None

    @property
    def silent_s(self) -> float:
        """Seconds since the last answer."""
        return time.monotonic() - self._answered_at_s

    def is_news(self, after_s: float) -> bool:
        """Whether it has lasted for `after_s`. True once in each silence."""
        news = not self._was_reported and self.silent_s >= after_s
        self._was_reported = self._was_reported or news
        return news


class Pulse:
    """Asks Ray Serve's controller, by way of the dashboard, and the HTTP door.

    door: address of the HTTP door; None when it is not to be asked.
    ends: whether a silent controller ends the system. It does not on a cluster that was joined, which others run.
    """

    def __init__(self, system: RunningSystem, door: str | None, ends: bool, times: PulseTimes) -> None:
        self.lost = False
        """Whether the controller has been silent for so long that it hangs."""
        self._times = times
        self._system = system
        self._door = door
        self._ends = ends
        self._controller_silence = Silence()
        self._door_silence = Silence()
        self._ask_at_s = 0.0
        self._asking: threading.Thread | None = None
        self._lines: list[str] = []

    def poll(self) -> list[str]:
        """One line for each part that has fallen silent, or answers again, since the last poll. It does not wait for
        answers: who watches for deaths beside it would notice them late, as a dashboard hangs whose Ray has died."""
        if self._asking is not None and self._asking.is_alive():
            return []
        lines, self._lines = self._lines, []
        if self._asking is not None:
            self._asking = None
            self._ask_at_s = time.monotonic() + self._times.poll_interval_s
        elif time.monotonic() >= self._ask_at_s:
            self._asking = threading.Thread(target=self._keep_lines, name="pulse", daemon=True)
            self._asking.start()
        return lines

    def ask(self) -> list[str]:
        """Asks both now, and waits for their answers: one line for each whose silence is news, or has ended."""
        return [*self._ask_controller(), *self._ask_door()]

    def _keep_lines(self) -> None:
        self._lines = self.ask()

    def _ask_controller(self) -> list[str]:
        silence = self._controller_silence
        if self._system.details_or_none(_ANSWER_TIMEOUT_S) is not None:
            return _return_lines("Ray Serve's controller", silence)
        if not silence.is_news(self._times.hang_timeout_s):
            return []
        self.lost = self._ends
        return [f"Ray Serve's controller has been silent for {silence.silent_s:.0f} s: {self._system.silence}"]

    def _ask_door(self) -> list[str]:
        if self._door is None:
            return []
        # Any answer will do.
        if _status_of(self._door) is not None:
            return _return_lines(f"the HTTP door at {self._door}", self._door_silence)
        if not self._door_silence.is_news(self._times.door_timeout_s):
            return []
        return [f"the HTTP door at {self._door} has been silent for {self._door_silence.silent_s:.0f} s"]


def _status_of(door: str) -> int | None:
    """What is answered at the door's address; None for silence."""
    try:
        # On this machine, nobody needs to prove who they are by a certificate.
        live = httpx.get(f"{door}/health/live", timeout=_ANSWER_TIMEOUT_S, trust_env=False, verify=False)
    except httpx.HTTPError:
        return None
    return live.status_code


def _return_lines(name: str, silence: Silence) -> list[str]:
    silent_s = silence.heard()
    return [] if silent_s is None else [f"{name} answers again after {silent_s:.0f} s"]
