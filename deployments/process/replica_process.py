"""What every replica does before anything else in its process."""

import os
import sys

from deployments.logs import set_up_logs
from deployments.process.local_traffic import keep_local_traffic_direct

THREADS_TAKE_TURNS_S = 0.001
"""How long a thread that computes in Python may keep the others waiting; Python's own default is five times that. A
request changes threads dozens of times, and beside one such thread it waits at each."""


def prepare_replica_process() -> None:
    """Our log lines are written at once, calls between replicas do not go through a proxy for the internet, and a
    busy thread lets the others run."""
    set_up_logs()
    sys.setswitchinterval(THREADS_TAKE_TURNS_S)
    os.environ.update(keep_local_traffic_direct(os.environ))
