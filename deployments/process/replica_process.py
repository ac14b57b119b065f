"""What every replica does before anything else in its process."""

import os

from deployments.logs import set_up_logs
from deployments.process.local_traffic import keep_local_traffic_direct


def prepare_replica_process() -> None:
    """Our log lines are written at once, and calls between replicas do not go through a proxy for the internet."""
    set_up_logs()
    os.environ.update(keep_local_traffic_direct(os.environ))
