"""What Ray Serve's controller and Ray say of the cluster, as tenants and machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from deployments.definition import DEPLOYMENT_NAME, MODEL_IMPORT_PATH, ModelKnobs
from deployments.scaling.places import Needs, Tenant

OUR_POLICIES = "deployments.autoscaling:"
"""How the names of our policies begin: only a model that has one can be put to sleep by it."""


@dataclass(frozen=True, slots=True)
class View:
    """totals: what each machine that lives has."""

    totals: Mapping[str, Needs]
    tenants: tuple[Tenant, ...]


def view_from(applications: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> View:
    """applications: as the controller reports them.  nodes: as `ray.nodes` has them."""
    totals = {node["NodeID"]: dict(node["Resources"]) for node in nodes if node["Alive"]}
    tenants = []
    for name, application in applications.items():
        config = application.get("deployed_app_config") or {}
        is_model = config.get("import_path") == MODEL_IMPORT_PATH
        for deployment_name, deployment in (application.get("deployments") or {}).items():
            if is_model and deployment_name == DEPLOYMENT_NAME:
                tenants.append(_model(name, deployment))
            else:
                tenants.append(_tenant(f"{name}:{deployment_name}", deployment))
    return View(totals, tuple(tenants))


def _tenant(name: str, deployment: Mapping[str, Any], **more: Any) -> Tenant:
    replicas = deployment.get("replicas") or []
    placed = [one for one in replicas if one.get("node_id")]
    waiting = [one["start_time_s"] for one in replicas if not one.get("node_id") and one.get("state") == "STARTING"]
    needs = {resource: float(amount) for resource, amount in (deployment.get("required_resources") or {}).items()}
    return Tenant(
        name,
        needs,
        held=tuple(one["node_id"] for one in placed if one.get("state") != "STOPPING"),
        leaving=tuple(one["node_id"] for one in placed if one.get("state") == "STOPPING"),
        waits_since_s=min(waiting, default=None),
        waiting=len(waiting),
        **more,
    )


def _model(name: str, deployment: Mapping[str, Any]) -> Tenant:
    config = deployment.get("deployment_config") or {}
    autoscaling = config.get("autoscaling_config") or {}
    policy = (autoscaling.get("policy") or {}).get("policy_function")
    try:
        knobs = ModelKnobs.model_validate(config.get("user_config") or {})
    except ValidationError:
        # Such a model fails to start, and says why; it has no place that it could give up.
        knobs = ModelKnobs()
    return _tenant(
        name,
        deployment,
        least=int(autoscaling.get("min_replicas") or 0),
        is_model=True,
        may_sleep=str(policy).startswith(OUR_POLICIES),
        is_pinned=knobs.pinned,
        min_stay_s=knobs.min_stay_s,
    )
