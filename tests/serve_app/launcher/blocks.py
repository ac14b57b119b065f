"""Blocks of a configuration, as a user writes them."""

from typing import Any

API = {"name": "api", "import_path": "serve_app.app:build", "route_prefix": "/", "args": {"default_model": "first"}}


def model_block(name: str = "fixed", **args: Any) -> dict[str, Any]:
    return {
        "name": name,
        "import_path": "deployments.app:build",
        "route_prefix": None,
        "args": {"family": "fixed-answer", **args},
        "deployments": [
            {
                "name": "Model",
                "max_ongoing_requests": 64,
                "autoscaling_config": {"min_replicas": 1, "max_replicas": 1},
                "ray_actor_options": {"num_cpus": 0.1},
                "user_config": {"score_threshold": 0.3},
            }
        ],
    }
