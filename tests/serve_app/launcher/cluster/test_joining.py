"""A cluster that is joined: what travels to its replicas, what its nodes must have, and how a node is started."""

import copy
import json
import socket
from pathlib import Path
from typing import Any

import psutil
import pytest

from serve_app.launcher.app_status import node_table, proxies_are_everywhere, proxy_hosts
from serve_app.launcher.banner import cluster_addresses
from serve_app.launcher.cluster.inspection import MARK, look
from serve_app.launcher.cluster.node_checks import PACKAGES, files_of, node_problems, redis_problems
from serve_app.launcher.cluster.node_command import node_environment, run_node
from serve_app.launcher.cluster.replica_settings import is_secret, passed_on, with_settings
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.console import LaunchError
from serve_app.launcher.ray_token import explicit_mode
from tests.serve_app.launcher.blocks import API, model_block

SECRET_URL = "redis://:hunter2@10.0.0.9:6379/0"
PLAIN_URL = "redis://10.0.0.9:6379/0"
HEALTHY: dict[str, Any] = {"node": "10.0.0.1", "code": "c", "missing": [], "closed": "", "at": "/srv", "redis": 0}


def nodes(*changes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**HEALTHY, "node": f"10.0.0.{number}", **change} for number, change in enumerate(changes, 1)]


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        (PLAIN_URL, False),
        (SECRET_URL, True),
        ("redis://user@10.0.0.9", True),
        ("redis+sentinel://10.0.0.9/main?sentinel_password=x", True),
    ],
)
def test_an_address_that_may_hold_a_password_is_not_passed_on(url: str, secret: bool) -> None:
    assert is_secret(url) is secret
    assert ("REDIS_URL" in passed_on({"REDIS_URL": url})) is not secret


def test_settings_travel_with_every_application_and_the_document_stays() -> None:
    document = {"applications": [model_block("first"), API]}
    before = copy.deepcopy(document)
    given = with_settings(document, {"REDIS_URL": PLAIN_URL, "FATHOM_WEIGHTS_OFFLINE": "1", "FATHOM_HTTP_PORT": "1"})
    for application in given["applications"]:
        assert application["runtime_env"]["env_vars"] == {"REDIS_URL": PLAIN_URL, "FATHOM_WEIGHTS_OFFLINE": "1"}
    assert document == before


def test_labels_of_a_file_travel_as_labels(tmp_path: Path) -> None:
    file = tmp_path / "labels.names"
    file.write_text("Crab\nFish\n")
    block = model_block("first")
    block["args"] = {"family": "fixed-answer", "labels_file": str(file)}
    [application] = with_settings({"applications": [block]}, {})["applications"]
    assert application["args"] == {"family": "fixed-answer", "labels": ["Crab", "Fish"]}


def test_a_door_that_may_change_the_models_knows_where_the_cluster_is() -> None:
    environ = {"RAY_ADDRESS": "10.0.0.1:6379", "FATHOM_NUM_GPUS": "0.5", "FATHOM_HTTP_PORT": "1"}
    document = {"applications": [API, model_block("first")]}
    door, model = with_settings(document, environ)["applications"]
    assert door["runtime_env"] == model["runtime_env"] == {"env_vars": {}}, "without keys it changes nothing"
    keys = {"FATHOM_API_KEYS_FILE": "/etc/keys.toml"}
    door, model = with_settings(document, environ | keys)["applications"]
    assert model["runtime_env"]["env_vars"] == keys
    assert door["runtime_env"]["env_vars"] == {**keys, "RAY_ADDRESS": "10.0.0.1:6379", "FATHOM_NUM_GPUS": "0.5"}


def test_files_that_every_node_must_have() -> None:
    blocks = [model_block(name) for name in ("path", "disk", "web", "own")]
    for block, weights in zip(blocks, ("/w/a.pt", "file:///w/b.pt", "hf://o/r/c.pt", None), strict=True):
        block["args"] = {"family": "yolov5", "weights": weights}
    document = {"applications": [*blocks, API]}
    assert files_of(document, {}) == ["/w/a.pt", "/w/b.pt"]
    assert files_of(document, {"FATHOM_API_KEYS_FILE": "/etc/keys.toml"}) == ["/etc/keys.toml", "/w/a.pt", "/w/b.pt"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"error": "GetTimeoutError"}, "did not answer"),
        ({"code": ""}, "not installed"),
        ({"code": "other"}, "another version"),
        ({"missing": ["/w/a.pt"]}, "/w/a.pt is not there (seen from /srv)"),
        ({"closed": "/w"}, "/w cannot be written"),
    ],
)
def test_what_a_node_lacks_is_told_with_its_address(change: dict[str, Any], words: str) -> None:
    [problem] = node_problems(nodes({}, change), "c")
    assert problem.startswith("node 10.0.0.2: ")
    assert words in problem


@pytest.mark.parametrize(
    ("url", "found", "words"),
    [
        (SECRET_URL, (1, 0), "nodes without REDIS_URL: 10.0.0.2; it holds a password"),
        (SECRET_URL, (1, 2), "different addresses"),
        ("", (1, 0), "while others have it: 10.0.0.2"),
        ("", (0, 0), "the embedded Valkey is for one node: this cluster has 2"),
    ],
)
def test_nodes_that_would_not_find_redis(url: str, found: tuple[int, ...], words: str) -> None:
    [problem] = redis_problems(nodes(*({"redis": number} for number in found)), url)
    assert words in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(("url", "found"), [(SECRET_URL, (1, 1)), (PLAIN_URL, (0, 0)), ("", (1, 1)), ("", (0,))])
def test_nodes_that_find_redis(url: str, found: tuple[int, ...]) -> None:
    assert list(redis_problems(nodes(*({"redis": number} for number in found)), url)) == []


def test_a_look_at_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "a.pt"
    there.touch()
    report = look([str(there), str(tmp_path / "b.pt")], [str(tmp_path / "new"), "~"], list(PACKAGES))
    assert report["missing"] == [str(tmp_path / "b.pt")]
    assert report["closed"] == ""
    assert len(report["code"]) == 64
    assert look([], [str(there / "below"), "~"], list(PACKAGES))["closed"] == str(there)
    assert look([], [], ["no_such_package"]) == {"code": ""}
    monkeypatch.setenv("FATHOM_WEIGHTS_DIR", str(there / "below"))
    assert look([], [str(tmp_path)], list(PACKAGES))["closed"] == str(there)
    json.loads((MARK + json.dumps(report)).removeprefix(MARK))


def test_a_node_has_the_switches_of_the_system_and_listens_for_others() -> None:
    environ = node_environment({"RAY_ADDRESS": "10.0.0.1:6379", "RAY_worker_niceness": "5", "PATH": "/bin"})
    assert "RAY_ADDRESS" not in environ
    assert environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "1"
    assert environ["RAY_SERVE_ENABLE_HA_PROXY"] == environ["RAY_SERVE_ENABLE_DIRECT_INGRESS"] == "0"
    assert environ["RAY_AUTH_MODE"] == "token"
    assert environ["RAY_worker_niceness"] == "5"
    assert environ["PATH"].endswith(":/bin")


def test_a_node_without_the_clusters_token_says_so(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="RAY_AUTH_TOKEN_PATH"):
        run_node("10.0.0.1:6379", [], {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")})


@pytest.mark.parametrize(("token", "mode"), [("", "disabled"), ("x", "token")])
def test_the_mode_of_authentication_is_always_explicit(token: str, mode: str, tmp_path: Path) -> None:
    environ = {"RAY_AUTH_TOKEN": token, "RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}
    assert explicit_mode(environ) == {"RAY_AUTH_MODE": mode}


def test_the_dashboard_of_a_cluster_is_on_its_head_unless_that_is_here() -> None:
    def host(**environ: str) -> str:
        return SystemSettings.from_environment({"FATHOM_DATA_DIR": "/d", **environ}).dashboard_host

    here = next(
        one.address for card in psutil.net_if_addrs().values() for one in card if one.family == socket.AF_INET
    )
    assert host(RAY_ADDRESS="192.0.2.7:6379") == "192.0.2.7"
    assert host(RAY_ADDRESS=f"{here}:6379") == "127.0.0.1"
    assert host(RAY_ADDRESS="192.0.2.7:6379", FATHOM_DASHBOARD_HOST="192.0.2.8") == "192.0.2.8"
    assert host() == "127.0.0.1"


DETAILS: dict[str, Any] = {
    "proxy_location": "EveryNode",
    "proxies": {
        "a": {"node_ip": "10.0.0.1", "status": "HEALTHY"},
        "b": {"node_ip": "10.0.0.2", "status": "STARTING"},
    },
    "applications": {"api": {"deployments": {"Door": {"replicas": [{"node_id": "b", "state": "RUNNING"}] * 2}}}},
}


def test_every_node_with_a_replica_is_to_have_a_proxy() -> None:
    assert not proxies_are_everywhere(DETAILS)
    assert proxies_are_everywhere({**DETAILS, "proxy_location": "HeadOnly"})
    assert proxies_are_everywhere({**DETAILS, "proxies": {"b": {"status": "HEALTHY"}}})


def test_the_banner_names_nodes_that_can_be_reached() -> None:
    document = {"http_options": {"host": "0.0.0.0", "port": 8082}}
    assert cluster_addresses(document, proxy_hosts(DETAILS)) == ["http://10.0.0.1:8082"]
    assert cluster_addresses(document, []) == ["http://localhost:8082"]


def test_one_line_for_each_node() -> None:
    found = [
        {"node_ip": "10.0.0.1", "node_id": "a", "state": "ALIVE", "is_head_node": True, "resources_total": {}},
        {"node_ip": "10.0.0.2", "node_id": "b", "state": "ALIVE", "resources_total": {"CPU": 4.0, "GPU": 0.5}},
        {"node_ip": "10.0.0.2", "node_id": "before", "state": "DEAD"},
        {"node_ip": "10.0.0.3", "node_id": "c", "state": "DEAD", "state_message": "health check failed"},
    ]
    assert node_table(found, DETAILS).splitlines() == [
        "10.0.0.1         ALIVE  head; no CPU for replicas; runs nothing; proxy HEALTHY",
        "10.0.0.2         ALIVE  4 CPU; 0.5 GPU; runs api x2; proxy STARTING",
        "10.0.0.3         DEAD   health check failed",
    ]
