"""The system of a soak: two models, two doors, two bridges."""

from typing import Any

from benchmarks.soak.soak import SECONDS_AN_IMAGE, SLEEPER, SLEEPER_QUEUE, STEADY, STEADY_QUEUE
from deployments.definition import MODEL_IMPORT_PATH


def document(replicas: int) -> dict[str, Any]:
    """Without a Valkey, and to listen on the launcher's or the cluster's address. replicas: of the busy model."""
    return {
        "http_options": {"request_timeout_s": 65},
        "applications": [
            _model(
                STEADY,
                {"queues": [STEADY_QUEUE], "largest_batch": 1, "parameters": {"delay_ms": 1000 * SECONDS_AN_IMAGE}},
                {"min_replicas": replicas, "max_replicas": replicas},
            ),
            _model(
                SLEEPER,
                {"queues": [SLEEPER_QUEUE]},
                {"min_replicas": 0, "max_replicas": 1, "downscale_delay_s": 5, "look_back_period_s": 11},
            ),
            {
                "name": "api",
                "import_path": "serve_app.app:build",
                "route_prefix": "/",
                "args": {"default_model": STEADY, "deadline_s": 60},
                "deployments": [{"name": "Door", "autoscaling_config": {"min_replicas": 2, "max_replicas": 2}}],
            },
            {
                "name": "bridge",
                "import_path": "redis_bridge.app:build",
                "route_prefix": None,
                "deployments": [{"name": "Bridge", "num_replicas": 2}],
            },
        ],
    }


def embedded_valkey() -> dict[str, Any]:
    """Its application, for a system on one machine."""
    return {"name": "valkey", "import_path": "redis_bridge.embedded:build", "route_prefix": None}


def _model(name: str, args: dict[str, Any], scaling: dict[str, Any]) -> dict[str, Any]:
    policy = {"policy_function": "deployments.autoscaling:images_where_there_is_room"}
    return {
        "name": name,
        "import_path": MODEL_IMPORT_PATH,
        "route_prefix": None,
        "args": {"family": "fixed-answer", **args},
        "deployments": [
            {
                "name": "Model",
                "max_ongoing_requests": 64,
                "autoscaling_config": {"target_ongoing_requests": 16, "policy": policy, **scaling},
                "ray_actor_options": {"num_cpus": 0.1},
            }
        ],
    }
