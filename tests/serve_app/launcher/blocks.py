"""Blocks of a configuration, as a user writes them."""

import copy
from typing import Any

DEPLOYMENT = "applications.0.deployments.0"
"""The dotted path of the first deployment, for `put`."""

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


def system(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"http_options": {"port": 8082}, "applications": list(blocks or [model_block()])}


def put(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of `document` with `value` at the dotted path; numbers are positions in lists."""
    document = copy.deepcopy(document)
    *steps, last = path.split(".")
    at: Any = document
    for step in steps:
        at = at[int(step)] if step.isdigit() else at[step]
    at[last] = value
    return document
