"""What the block of a model may hold that comes over HTTP, from somebody who has no shell here.

Ray Serve's schemas let an application name code to run (`runtime_env`, `policy_function`), files to write
(`logging_config`) and files to read, so this is a list of what is allowed: a part that a later version of Ray adds is
refused until it stands here.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from deployments.definition import DEPLOYMENT_NAME
from serve_app.launcher.configuration.model_rules import IMAGES_POLICY

_ANYTHING: Mapping[str, Any] = {}
"""Below it the schemas of models know every key."""

_ALLOWED: Mapping[str, Any] = {
    "name": None,
    "import_path": None,
    "route_prefix": None,
    "args": _ANYTHING,
    "deployments": {
        "name": None,
        "max_ongoing_requests": None,
        "max_replicas_per_node": None,
        "user_config": _ANYTHING,
        "autoscaling_config": {
            "min_replicas": None,
            "max_replicas": None,
            "initial_replicas": None,
            "target_ongoing_requests": None,
            "look_back_period_s": None,
            "upscale_delay_s": None,
            "downscale_delay_s": None,
            "downscale_to_zero_delay_s": None,
            "policy": {"policy_function": None},
        },
        "ray_actor_options": dict.fromkeys(("num_cpus", "num_gpus", "memory", "resources", "accelerator_type")),
    },
}
"""Key -> what may be below it; None where the schemas check the value."""

FETCHED_FROM = ("hf", "doi")
"""Schemes of weights: those of which the host is not chosen by whoever writes the block. With `https:` anybody could
have this machine ask other machines of its network, and with `file:` or a path find out what files it has."""

MAX_REPLICAS = 64


def strangers_problems(block: object) -> Iterator[str]:
    """What is in `block` that only somebody with a shell may write. What is no block at all is left to others."""
    if not isinstance(block, dict):
        return
    yield from _foreign(block, _ALLOWED, "")
    args = block.get("args")
    if isinstance(args, dict):
        yield from _file_problems(args)
    deployments = block.get("deployments")
    for index, deployment in enumerate(deployments if isinstance(deployments, list) else []):
        if isinstance(deployment, dict):
            yield from _replica_problems(deployment, f"deployments[{index}]")


def _foreign(value: object, allowed: Mapping[str, Any], path: str) -> Iterator[str]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _foreign(item, allowed, f"{path}[{index}]")
    if not isinstance(value, dict) or allowed is _ANYTHING:
        return
    for key, item in value.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in allowed:
            yield f"{where[:200]}: is not taken over HTTP; only `make add` may set it"
        elif allowed[key] is not None:
            yield from _foreign(item, allowed[key], where)


def _file_problems(args: Mapping[str, Any]) -> Iterator[str]:
    if args.get("labels_file") is not None:
        yield "args.labels_file: names a file of the server, which is not read over HTTP; give labels instead"
    weights = args.get("weights")
    uri = weights.get("uri") if isinstance(weights, dict) else weights
    if isinstance(uri, str) and not uri.lower().startswith(tuple(f"{scheme}:" for scheme in FETCHED_FROM)):
        known = " or ".join(f"{scheme}:" for scheme in FETCHED_FROM)
        yield f"args.weights: over HTTP they come from {known}; paths and other addresses are for `make add`"


def _replica_problems(deployment: Mapping[str, Any], path: str) -> Iterator[str]:
    scaling = deployment.get("autoscaling_config")
    if deployment.get("name") != DEPLOYMENT_NAME or not isinstance(scaling, dict):
        return
    most = scaling.get("max_replicas")
    if isinstance(most, int) and most > MAX_REPLICAS:
        yield f"{path}.autoscaling_config.max_replicas: must be at most {MAX_REPLICAS} over HTTP (got {most})"
    policy = scaling.get("policy")
    if isinstance(policy, dict) and policy.get("policy_function", IMAGES_POLICY) != IMAGES_POLICY:
        yield f"{path}.autoscaling_config.policy.policy_function: must be {IMAGES_POLICY}"
