"""Waits until a system is ready, and then until it is calm: what a start leaves behind must not be charged to the
first requests. Knows how each kind of system says that it is ready.
"""

import time

from benchmarks.load.ask import ask, get_request
from benchmarks.machine.usage import cpu_by_role
from benchmarks.systems.contract import Running

START_TIMEOUT_S = 240.0
CALM_CORES = 0.15
"""Ray's own background work is below this on an idle system."""

CALM_TIMEOUT_S = 15.0
_ASK_S = 2.0
_LOOK_S = 1.0


def wait_until_ready(running: Running, timeout_s: float = START_TIMEOUT_S) -> None:
    """Waits for the readiness path's status. Raises StartError when the system ends, or is not ready in time."""
    running.parts[-1].wait_until(lambda: is_ready(running), timeout_s)


def is_ready(running: Running) -> bool:
    """Whether it is ready now."""
    answer = ask(running.port, get_request(running.ready_path), _ASK_S)
    return answer is not None and answer.status in running.ready_statuses


def wait_until_calm(running: Running) -> None:
    """Waits until the system uses next to no CPU, at most CALM_TIMEOUT_S: some systems are never calm."""
    until_s = time.monotonic() + CALM_TIMEOUT_S
    while time.monotonic() < until_s:
        before = running.usage()
        time.sleep(_LOOK_S)
        if sum(cpu_by_role(before, running.usage()).values()) <= CALM_CORES * _LOOK_S:
            return
