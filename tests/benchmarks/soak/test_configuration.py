"""The system of a soak is one that the launcher takes, on one machine and on nodes."""

from benchmarks.soak.configuration import document, embedded_valkey
from serve_app.launcher.configuration.validation import system_problems
from tests.cluster import soak as on_nodes


def test_it_is_valid_on_one_machine() -> None:
    content = document(1)
    content["applications"].append(embedded_valkey())
    assert system_problems(content) == []


def test_it_is_valid_on_nodes_with_a_door_and_a_bridge_on_each() -> None:
    content = on_nodes.configuration()
    assert system_problems(content) == []
    applications = {one["name"]: one["deployments"][0] for one in content["applications"]}
    assert applications["api"]["max_replicas_per_node"] == applications["bridge"]["max_replicas_per_node"] == 1
    assert applications["steady"]["autoscaling_config"]["min_replicas"] == on_nodes.Nodes.replicas
