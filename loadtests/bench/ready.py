"""Waits until a system is ready, and says how long that took. Knows how each kind of system says so."""

import time

from loadtests.bench.ask import ask, get_request
from loadtests.bench.systems.contract import Running

START_PATIENCE_S = 240.0
_ASK_S = 2.0


def wait_until_ready(running: Running) -> float:
    """Seconds since the call until the first 2xx on the readiness path, or any answer where there is none.

    Raises StartError when the system ends, or is not ready in time.
    """
    began_at_s = time.monotonic()
    running.parts[-1].wait_until(lambda: is_ready(running), START_PATIENCE_S)
    running.start_s = time.monotonic() - began_at_s
    return running.start_s


def is_ready(running: Running) -> bool:
    """Whether it is ready now."""
    answer = ask(running.port, get_request(running.ready_path), _ASK_S)
    return answer is not None and answer.status in running.ready_statuses
