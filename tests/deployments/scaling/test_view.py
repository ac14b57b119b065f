"""Reports of Ray Serve and Ray become tenants and machines."""

from typing import Any

from ray.serve._private.config import DeploymentConfig, ReplicaConfig
from ray.serve._private.deployment_info import DeploymentInfo
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import _deployment_info_to_schema

from deployments.definition import MODEL_IMPORT_PATH
from deployments.scaling.places import Tenant
from deployments.scaling.view import View, view_from


def application(import_path: str, name: str, deployment: dict[str, Any]) -> dict[str, Any]:
    return {"deployed_app_config": {"import_path": import_path}, "deployments": {name: deployment}}


def deployment(replicas: list[dict[str, Any]], **config: Any) -> dict[str, Any]:
    return {"required_resources": {"CPU": 1, "GPU": 0.25}, "replicas": replicas, "deployment_config": config}


NODES = [
    {"NodeID": "n1", "Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}},
    {"NodeID": "n2", "Alive": False, "Resources": {"CPU": 4.0}},
]


def test_places_that_are_held_left_and_waited_for() -> None:
    replicas = [
        {"state": "RUNNING", "node_id": "n1", "start_time_s": 1.0},
        {"state": "STARTING", "node_id": "n1", "start_time_s": 2.0},
        {"state": "STOPPING", "node_id": "n2", "start_time_s": 3.0},
        {"state": "STARTING", "node_id": None, "start_time_s": 5.0},
        {"state": "STARTING", "start_time_s": 4.0},
    ]
    config = {
        "autoscaling_config": {
            "min_replicas": 1,
            "policy": {"policy_function": "deployments.autoscaling:images_in_work"},
        },
        "user_config": {"pinned": True, "min_stay_s": 7},
    }
    view = view_from({"m": application(MODEL_IMPORT_PATH, "Model", deployment(replicas, **config))}, NODES)
    tenant = Tenant(
        "m",
        {"CPU": 1.0, "GPU": 0.25},
        held=("n1", "n1"),
        leaving=("n2",),
        waits_since_s=4.0,
        waiting=2,
        least=1,
        is_model=True,
        may_sleep=True,
        is_pinned=True,
        min_stay_s=7.0,
    )
    assert view == View({"n1": {"CPU": 4.0, "GPU": 1.0}}, (tenant,))


def test_doors_and_models_with_a_policy_of_others_never_give_way() -> None:
    door = application("serve_app.app:build", "Door", deployment([]))
    plain = application(MODEL_IMPORT_PATH, "Model", deployment([], autoscaling_config={"min_replicas": 0}))
    broken = application(MODEL_IMPORT_PATH, "Model", deployment([], user_config={"pinned": "perhaps"}))
    view = view_from({"api": door, "m": plain, "broken": broken, "new": {"deployments": None}}, NODES)
    assert [(one.name, one.is_model, one.may_sleep) for one in view.tenants] == [
        ("api:Door", False, False),
        ("m", True, False),
        ("broken", True, False),
    ]


def test_the_settings_of_a_model_are_where_serve_writes_them() -> None:
    policy = {"policy_function": "deployments.autoscaling:images_in_work"}
    config = DeploymentConfig(
        autoscaling_config=AutoscalingConfig(min_replicas=0, max_replicas=2, policy=policy),
        user_config={"pinned": True},
    )
    needs = ReplicaConfig.create(lambda: None, ray_actor_options={"num_cpus": 0, "num_gpus": 0.25})
    info = DeploymentInfo(config, needs, start_time_ms=0, deployer_job_id="")
    schema = _deployment_info_to_schema("Model", info).model_dump(exclude_unset=True)
    written = {"required_resources": needs.resource_dict, "replicas": [], "deployment_config": schema}
    [tenant] = view_from({"m": application(MODEL_IMPORT_PATH, "Model", written)}, NODES).tenants
    assert (tenant.may_sleep, tenant.is_pinned, tenant.least) == (True, True, 0)
    assert tenant.needs == {"CPU": 0.0, "GPU": 0.25}
