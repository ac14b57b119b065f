"""Keeps a system in the foreground: waits until it is healthy, watches over it, and stops it in order."""

import time
from collections.abc import Callable, Mapping

from serve_app.launcher.app_status import ApplicationState, application_states, proxies_are_healthy
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.console import LaunchError, say, say_error
from serve_app.launcher.dashboard_client import RunningSystem
from serve_app.launcher.deaths import VALKEY, Deaths
from serve_app.launcher.processes.child_process import StopSignals, SystemProcess
from serve_app.launcher.processes.process_tree import end_descendants
from serve_app.launcher.progress import Progress, waiting_for
from serve_app.launcher.proxy.renewal import Renewal
from serve_app.launcher.pulse import Door, Pulse

POLL_INTERVAL_S = 1.0
LEFTOVER_GRACE_S = 10.0
SAVING_GRACE_S = 120.0
"""How long the embedded Valkey may take to write what it keeps, before it is killed."""

BROKEN_STOP_GRACE_S = 20.0
"""How long a system that has lost a part of Ray may take to stop: most of what is in flight is lost with it."""

CHILD_END_GRACE_S = 5.0
"""How long a child that is ending may outlive the first part of Ray: at its exit, Ray ends its processes one after
another and gives each of them a second."""

States = dict[str, ApplicationState]


class Supervisor:
    """One system from its start to its end."""

    def __init__(
        self, process: SystemProcess, system: RunningSystem, signals: StopSignals, settings: SystemSettings
    ) -> None:
        self._process = process
        self._system = system
        self._signals = signals
        self._settings = settings
        self._deaths = Deaths()
        self._has_begun = False
        self._lost_with_child: list[str] = []
        self._reported: dict[str, str] = {}

    @property
    def lost_ray_at_its_start(self) -> bool:
        """Whether a part of Ray has died before anything ran in it. Ray's raylet gives its agents 15 s to start and
        ends itself when they take longer, which nothing can change: a slow disk, or a busy machine, is enough."""
        return self._deaths.lost and not self._has_begun

    def wait_until_up(self, expected: list[str], door: Door | None = None) -> States | None:
        """The state of each application once all are healthy or have failed, and the door answers unless it has
        failed, or after `start_patience_s`.

        None when the process has ended or a signal asks to stop: `wait_for_the_end` deals with both.
        """
        progress = Progress()
        states: States = {name: ApplicationState(name, "NOT_STARTED") for name in expected}
        while True:
            self._signals.wait(POLL_INTERVAL_S)
            if self._signals.count or self._is_over():
                return None
            details = self._system.details_or_none()
            states |= application_states(details or {})
            self._has_begun = self._has_begun or bool(details and details["applications"])
            self._report_failures(states)
            settled = all(state.is_healthy or state.has_failed for state in states.values())
            if progress.waited_s >= self._settings.start_patience_s or (
                settled and details is not None and proxies_are_healthy(details) and _is_reached(door, states)
            ):
                return states
            if progress.is_due():
                what = self._system.silence or waiting_for(states) or "the HTTP proxy"
                say(f"still starting after {progress.waited_s:.0f} s: {what}")

    def wait_for_the_end(self, pulse: Pulse, renewal: Renewal | None = None) -> int:
        """Waits for a signal, for the process's own end, or until a part that the system cannot do without has
        died or hangs; leaves nothing behind; returns the exit status. renewal: looks after the certificate."""
        while not self._signals.count and not self._is_over(pulse):
            for line in renewal.poll() if renewal else ():
                say(line)
            self._signals.wait(POLL_INTERVAL_S)
        if self._process.has_ended:
            say_error(
                f"serve run (process {self._process.pid}) has died; the system has ended by itself: "
                f"{self._process.last_words()}"
            )
            for line in self._lost_with_child:
                say_error(line)
            self._end_what_is_left()
            return 1
        return self._stop() if self._signals.count else self._stop_what_is_broken()

    def _is_over(self, pulse: Pulse | None = None) -> bool:
        """Whether the system has ended, or has lost a part that it needs, which is reported. pulse: None during the
        start."""
        if self._process.has_ended:
            return True
        was_lost = self._deaths.lost
        lines = self._deaths.poll(is_starting=pulse is None)
        if self._deaths.lost and not was_lost and self._child_ends(self._timer(CHILD_END_GRACE_S)):
            # Its reason is reported first: a child that ends by itself takes all of Ray with it.
            self._lost_with_child = lines
            return True
        for line in lines:
            say_error(line)
        if pulse is None or self._deaths.lost:
            return self._deaths.lost
        for line in pulse.poll():
            say_error(line)
        return pulse.lost

    def _child_ends(self, may_wait: Callable[[], bool]) -> bool:
        """Whether the child ends while there is time to wait, as it does soon when it was the first to end."""
        while may_wait() and not self._process.has_ended:
            self._signals.wait(POLL_INTERVAL_S / 4)
        return self._process.has_ended

    def _stop(self) -> int:
        say("stopping: what is in flight is finished first (Ctrl-C again stops at once)")
        may_wait = self._timer(self._settings.stop_grace_s)
        self._close_http(may_wait)
        in_order = self._stop_process(may_wait)
        if not in_order:
            say_error("stopped at once: what was in flight may be lost")
        self._end_what_is_left()
        return 0 if in_order else 1

    def _stop_what_is_broken(self) -> int:
        if self.lost_ray_at_its_start:
            self._process.kill()
            self._end_what_is_left()
            return 1
        say_error("stopping what is left: jobs stay in Redis, requests in flight may be lost")
        self._stop_process(self._timer(min(BROKEN_STOP_GRACE_S, self._settings.stop_grace_s)))
        self._end_what_is_left()
        return 1

    def _timer(self, timeout_s: float) -> Callable[[], bool]:
        """Whether there is still time to wait: until `timeout_s` is over or another signal comes."""
        ends_at_s = time.monotonic() + timeout_s
        first_count = self._signals.count
        return lambda: time.monotonic() < ends_at_s and self._signals.count == first_count

    def _stop_process(self, may_wait: Callable[[], bool]) -> bool:
        """Whether the process stopped in order; it is gone afterwards."""
        if may_wait() and not self._process.has_ended:
            self._process.interrupt()
        if self._child_ends(may_wait):
            return True
        self._process.kill()
        return False

    def _end_what_is_left(self) -> None:
        ended = end_descendants(LEFTOVER_GRACE_S, VALKEY, SAVING_GRACE_S)
        say(f"stopped; also had to end: {', '.join(sorted(ended))}" if ended else "stopped")

    def _close_http(self, may_wait: Callable[[], bool]) -> None:
        # Ray Serve kills its HTTP proxy the moment it shuts down, and with it every request in flight. An
        # application that is removed finishes its requests, so what has a route is removed before.
        details = self._system.details_or_none()
        if details is None:
            return
        routed = {name for name, app in details["applications"].items() if app.get("route_prefix") is not None}
        if not routed:
            return
        try:
            self._system.change(lambda apps: [app for app in apps if app.get("name", "default") not in routed])
        except LaunchError as error:
            say_error(f"the HTTP door could not be closed first: {error}")
            return
        while may_wait() and not self._process.has_ended:
            details = self._system.details_or_none()
            if details is None or not routed & details["applications"].keys():
                return
            self._signals.wait(POLL_INTERVAL_S / 4)

    def _report_failures(self, states: Mapping[str, ApplicationState]) -> None:
        for state in states.values():
            if not (state.has_failed or state.is_tried_again):
                continue
            what = "has failed" if state.has_failed else "did not start, and is tried again"
            line = f"{state.name} {what}: {state.reason or state.status}"
            if self._reported.get(state.name) != line:
                self._reported[state.name] = line
                say_error(line)


def _is_reached(door: Door | None, states: Mapping[str, ApplicationState]) -> bool:
    # HAProxy learns of a door a moment after Serve calls it running.
    return door is None or not states[door.application].is_healthy or door.is_open()
