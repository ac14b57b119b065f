"""Parts of a running system: a model to add beside the demo, and the process of its Valkey."""

from typing import Any

import psutil

from tests.system.conftest import RunningSystem

SECOND: dict[str, Any] = {
    "name": "second",
    "import_path": "deployments.app:build",
    "route_prefix": None,
    "args": {"family": "fixed-answer", "queues": ["image_queue_second"], "labels": ["Crab", "Fish"]},
    "deployments": [
        {
            "name": "Model",
            "autoscaling_config": {"min_replicas": 0, "max_replicas": 1, "downscale_delay_s": 600},
            "max_ongoing_requests": 64,
            "ray_actor_options": {"num_cpus": 0.1},
        }
    ],
}


def valkey_process(system: RunningSystem) -> psutil.Process:
    port = int(system.environ["FATHOM_REDIS_PORT"])
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return psutil.Process(connection.pid)
    raise AssertionError(f"nobody listens on {port}")
