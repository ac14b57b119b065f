"""Asks a running system, end to end and seldom, whether it still answers: what lives may hang.

Knows the address of the HTTP door and the dashboard's report; nothing of processes.
"""

import time
from dataclasses import dataclass

import httpx

from serve_app.launcher.dashboard_client import RunningSystem

_ANSWER_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When is asked, and when silence means something.

    ask_every_s: a report costs the controller some 40 ms of a core.  door_silent_s: a person is told then; nothing is
    ended, as the door is also silent when it has too many clients.  hangs_after_s: Ray hangs then; a machine that is
    merely busy answers one of several questions in time.
    """

    ask_every_s: float = 10.0
    door_silent_s: float = 15.0
    hangs_after_s: float = 60.0


class Silence:
    """For how long somebody has not answered, and whether that was told."""

    def __init__(self) -> None:
        self._answered_at_s = time.monotonic()
        self._was_told = False

    def heard(self) -> float | None:
        """Ends the silence; how long it was, in seconds, if it was told."""
        silent_s, was_told = self.silent_s, self._was_told
        self._answered_at_s, self._was_told = time.monotonic(), False
        return silent_s if was_told else None

    @property
    def silent_s(self) -> float:
        """Seconds since the last answer."""
        return time.monotonic() - self._answered_at_s

    def is_news(self, after_s: float) -> bool:
        """Whether it has lasted for `after_s`; true once in each silence."""
        news = not self._was_told and self.silent_s >= after_s
        self._was_told = self._was_told or news
        return news


class Pulse:
    """The controller of Ray Serve, asked by way of the dashboard, and the HTTP door.

    door: address of the HTTP door, None when it is not to be asked.  ends: whether a system whose controller is
    silent is lost; one on a cluster of somebody else's is not ours to judge.
    """

    def __init__(self, system: RunningSystem, door: str | None, ends: bool, rhythm: Rhythm) -> None:
        self.lost = False
        """Whether the controller has been silent for so long that it hangs."""
        self._rhythm = rhythm
        self._system = system
        self._door = door
        # Whatever it answers, it answers: with which certificate is of no interest on this machine.
        self._http = httpx.Client(
            timeout=_ANSWER_TIMEOUT_S,
            trust_env=False,
            verify=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        self._ends = ends
        self._controller_silence = Silence()
        self._door_silence = Silence()
        self._ask_at_s = 0.0

    def look(self) -> list[str]:
        """One line for each that has fallen silent, or answers again, since the last look; blocks while it asks."""
        if time.monotonic() < self._ask_at_s:
            return []
        told = [*self._ask_controller(), *self._ask_door()]
        self._ask_at_s = time.monotonic() + self._rhythm.ask_every_s
        return told

    def _ask_controller(self) -> list[str]:
        silence = self._controller_silence
        if self._system.details_or_none(_ANSWER_TIMEOUT_S) is not None:
            return _told_return("Ray Serve's controller", silence)
        if not silence.is_news(self._rhythm.hangs_after_s):
            return []
        self.lost = self._ends
        return [f"Ray Serve's controller has been silent for {silence.silent_s:.0f} s: {self._system.silence}"]

    def _ask_door(self) -> list[str]:
        if self._door is None:
            return []
        if self._door_answers():
            return _told_return(f"the HTTP door at {self._door}", self._door_silence)
        if not self._door_silence.is_news(self._rhythm.door_silent_s):
            return []
        return [f"the HTTP door at {self._door} has been silent for {self._door_silence.silent_s:.0f} s"]

    def _door_answers(self) -> bool:
        try:
            self._http.get(f"{self._door}/health/live")
        except httpx.HTTPError:
            return False
        return True


def _told_return(name: str, silence: Silence) -> list[str]:
    silent_s = silence.heard()
    return [] if silent_s is None else [f"{name} answers again after {silent_s:.0f} s"]
