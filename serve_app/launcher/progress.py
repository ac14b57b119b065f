"""What a person reads on the terminal while applications start, so that nobody looks at a silent one for minutes."""

import time
from collections.abc import Callable, Iterable, Mapping

from serve_app.launcher.app_status import ApplicationState, Details, application_states
from serve_app.launcher.console import say_error

INTERVAL_S = 15.0


class Progress:
    """When the next line is due. clock: seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_at_s = clock()
        self._next_s = INTERVAL_S

    @property
    def waited_s(self) -> float:
        """Seconds since the beginning."""
        return self._clock() - self._began_at_s

    def is_due(self) -> bool:
        """Whether INTERVAL_S have passed since it was last due."""
        if self.waited_s < self._next_s:
            return False
        self._next_s += INTERVAL_S
        return True


def waiting_for(states: Mapping[str, ApplicationState]) -> str:
    """The applications that do not run yet, each with the reason where there is one; '' for none."""
    waiting = [f"{one.name} ({one.reason or one.status})" for one in states.values() if not one.is_healthy]
    return ", ".join(waiting)


def told(
    condition: Callable[[Details], bool], wanted: Iterable[str], clock: Callable[[], float] = time.monotonic
) -> Callable[[Details], bool]:
    """`condition`, which says on standard error what is waited for whenever that is due. wanted: applications."""
    progress = Progress(clock)
    chosen = frozenset(wanted)

    def is_met(details: Details) -> bool:
        if condition(details):
            return True
        if progress.is_due():
            states = {name: one for name, one in application_states(details).items() if name in chosen}
            missing = {name: ApplicationState(name, "NOT_STARTED") for name in sorted(chosen - states.keys())}
            what = waiting_for(states | missing) or "the HTTP proxy"
            say_error(f"still starting after {progress.waited_s:.0f} s: {what}")
        return False

    return is_met
