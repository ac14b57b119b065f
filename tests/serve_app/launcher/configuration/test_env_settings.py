"""Environment variables: one table, checked against the documentation, rendered into the right places."""

import copy
import stat
from pathlib import Path
from typing import Any
from urllib.request import proxy_bypass_environment

import pytest
import yaml

from serve_app.launcher.child_main import ray_options
from serve_app.launcher.configuration.env_overrides import embedded_redis_port, rendered, setting_name, write_rendered
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.configuration.model_rules import IMAGES_POLICY
from serve_app.launcher.configuration.ray_variables import for_ray
from serve_app.launcher.configuration.settings_page import settings_page, variables
from serve_app.launcher.console import LaunchError
from serve_app.launcher.ray_token import auth_headers, ensure_token, token_place
from tests.serve_app.launcher.blocks import model_block

ROOT = Path(__file__).parents[4]
VALKEY = {"name": "valkey", "import_path": "redis_bridge.embedded:build", "route_prefix": None}


def document() -> dict[str, Any]:
    return {"http_options": {"port": 8082}, "applications": [model_block(), copy.deepcopy(VALKEY)]}


def settings(**values: str) -> SystemSettings:
    return SystemSettings.from_environment(values)


def test_the_documented_table_is_the_table_of_the_code() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == settings_page(), "run: python -m serve_app.launch settings > docs/settings.md"


def test_every_variable_is_documented_with_a_meaning() -> None:
    table = variables()
    assert all(variable.meaning and variable.goes_to for variable in table)
    assert len({variable.name for variable in table}) == len(table)


def test_an_empty_variable_counts_as_not_set() -> None:
    assert settings(FATHOM_HTTP_PORT="") == settings()


def test_the_address_that_the_client_is_told_does_no_harm() -> None:
    assert settings(FATHOM_URL="http://localhost:8082") == settings()


def test_unknown_and_wrong_variables_are_named_together() -> None:
    with pytest.raises(LaunchError) as refused:
        settings(FATHOM_HTP_PORT="1", FATHOM_DASHBOARD_PORT="70000")
    assert refused.value.problems == (
        "FATHOM_HTP_PORT: unknown environment variable; did you mean FATHOM_HTTP_PORT?",
        "FATHOM_DASHBOARD_PORT: Input should be less than or equal to 65535 (got '70000')",
    )


def test_host_and_ports_and_gpu_share_are_rendered_into_their_places() -> None:
    given = settings(
        FATHOM_HTTP_HOST="127.0.0.1", FATHOM_HTTP_PORT="9000", FATHOM_REDIS_PORT="7000", FATHOM_NUM_GPUS="0.25"
    )
    result = rendered(document(), given, has_real_redis=False)
    assert result["http_options"] == {"host": "127.0.0.1", "port": 9000}
    model, valkey = result["applications"]
    assert model["deployments"][0]["ray_actor_options"] == {"num_cpus": 0.1, "num_gpus": 0.25}
    assert valkey["args"] == {"port": 7000}
    assert embedded_redis_port(result) == 7000


DOOR = {"name": "api", "import_path": "serve_app.app:build", "args": {"default_model": "first"}}


def test_no_faces_are_rendered_into_the_door_and_unknown_ones_are_refused() -> None:
    before = {"applications": [DOOR]}
    assert rendered(before, settings(), has_real_redis=False)["applications"] == [DOOR]
    [without] = rendered(before, settings(FATHOM_FACES="none"), has_real_redis=False)["applications"]
    assert without["args"] == {"default_model": "first", "faces": []}
    with pytest.raises(LaunchError, match=r"FATHOM_FACES.*no face 'pigeon'"):
        settings(FATHOM_FACES="pigeon")


def test_hosts_to_fetch_from_are_rendered_into_the_door_and_wrong_ones_are_refused() -> None:
    door = {"name": "api", "import_path": "serve_app.app:build", "args": {"fetch_hosts": ["example.org"]}}
    before = {"applications": [door]}
    assert rendered(before, settings(), has_real_redis=False)["applications"] == [door]
    for said, hosts in (
        ("none", []),
        ("*.mbari.org, http://10.0.0.5:8080 private", ["*.mbari.org", "http://10.0.0.5:8080 private"]),
    ):
        [rendered_door] = rendered(before, settings(FATHOM_FETCH_HOSTS=said), has_real_redis=False)["applications"]
        assert rendered_door["args"] == {"fetch_hosts": hosts}
    with pytest.raises(LaunchError, match=r"FATHOM_FETCH_HOSTS.*write '10.0.0.5 private' if it is meant"):
        settings(FATHOM_FETCH_HOSTS="example.org,10.0.0.5")


def test_the_most_replicas_are_rendered_into_every_model_with_a_policy_that_counts_images() -> None:
    before = document()
    before["applications"][0]["deployments"][0]["autoscaling_config"] = {"min_replicas": 2, "max_replicas": 3}
    result = rendered(before, settings(FATHOM_MAX_REPLICAS="4"), has_real_redis=False)
    assert result["applications"][0]["deployments"][0]["autoscaling_config"] == {
        "min_replicas": 2,
        "max_replicas": 4,
        "policy": {"policy_function": IMAGES_POLICY},
    }
    fewer = rendered(before, settings(FATHOM_MAX_REPLICAS="1"), has_real_redis=False)
    assert fewer["applications"][0]["deployments"][0]["autoscaling_config"]["max_replicas"] == 2


def test_without_gpus_there_is_no_memory_of_theirs_to_limit() -> None:
    before = document()
    before["applications"][0]["args"]["memory_limit_mib"] = 2048
    result = rendered(before, settings(FATHOM_NUM_GPUS="0"), has_real_redis=False)
    assert "memory_limit_mib" not in result["applications"][0]["args"]
    result = rendered(before, settings(FATHOM_NUM_GPUS="0.5"), has_real_redis=False)
    assert result["applications"][0]["args"]["memory_limit_mib"] == 2048


def test_without_variables_the_document_is_rendered_as_it_is() -> None:
    before = document()
    result = rendered(before, settings(), has_real_redis=False)
    assert result["applications"][0] == before["applications"][0]
    assert result["http_options"] == before["http_options"]
    assert before == document()


def test_a_real_redis_takes_the_place_of_the_embedded_one() -> None:
    result = rendered(document(), settings(), has_real_redis=True)
    assert [app["name"] for app in result["applications"]] == ["fixed"]
    assert embedded_redis_port(result) is None


def test_a_port_is_called_by_the_variable_that_changes_it() -> None:
    assert setting_name(VALKEY, "port") == "FATHOM_REDIS_PORT"
    assert setting_name(DOOR, "grpc_port") == "FATHOM_GRPC_PORT"
    assert setting_name(model_block("m"), "port") == "m: args.port"


def test_the_rendered_file_is_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    write_rendered(document(), file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert yaml.safe_load(file.read_text()) == document()


def test_ray_gets_safe_defaults_and_a_value_of_the_user_wins() -> None:
    environ = for_ray({"RAY_worker_niceness": "5", "OTHER": "kept"})
    assert environ["RAY_AUTH_MODE"] == "token"
    assert environ["RAY_worker_niceness"] == "5"
    assert environ["RAY_USAGE_STATS_ENABLED"] == "0"
    assert environ["OTHER"] == "kept"


def test_processes_of_the_system_call_each_other_past_the_proxy_of_the_environment() -> None:
    environ = for_ray({"http_proxy": "http://proxy:3128", "no_proxy": "ship.example"})
    assert environ["http_proxy"] == "http://proxy:3128", "weights are fetched through it"
    for host in ("127.0.0.1", "localhost", "ship.example"):
        assert proxy_bypass_environment(host, {"no": environ["no_proxy"]})
    assert "0.0.0.0/0" in environ["no_grpc_proxy"].split(",")


def test_a_cluster_that_is_joined_keeps_its_own_ways() -> None:
    environ = for_ray({"RAY_ADDRESS": "10.0.0.1:6380"})
    assert "RAY_AUTH_MODE" not in environ
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in environ


def test_a_ray_of_our_own_gets_the_dashboard_where_it_was_asked_for() -> None:
    given = settings(FATHOM_DASHBOARD_PORT="9001", FATHOM_RAY_TEMP_DIR="/tmp/r")
    options = ray_options(given, {})
    assert options["address"] == "local"
    assert (options["dashboard_host"], options["dashboard_port"]) == ("127.0.0.1", 9001)
    assert options["_temp_dir"] == "/tmp/r"
    assert options["log_to_driver"] is True, "what replicas warn of belongs into the launcher's log"


def test_a_joined_cluster_gets_no_options_of_a_new_one() -> None:
    options = ray_options(settings(), {"RAY_ADDRESS": "10.0.0.1:6380"})
    assert options == {"namespace": "serve", "log_to_driver": True, "address": "10.0.0.1:6380"}


def test_a_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "ray" / "token"
    environ = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}
    ensure_token(environ)
    token = file.read_text()
    ensure_token(environ)
    assert file.read_text() == token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert auth_headers(environ) == {"Authorization": f"Bearer {token}"}
    assert str(file) in token_place(environ)


def test_no_token_is_made_or_sent_when_none_is_used(tmp_path: Path) -> None:
    environ = {"RAY_AUTH_MODE": "disabled", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")}
    ensure_token(environ)
    assert list(tmp_path.iterdir()) == []
    assert auth_headers(environ) == {}
    assert token_place(environ) == ""


def test_where_no_mode_is_set_a_token_that_is_there_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "token"
    assert auth_headers({"RAY_AUTH_TOKEN_PATH": str(file)}) == {}
    file.write_text("t\n")
    assert auth_headers({"RAY_AUTH_TOKEN_PATH": str(file)}) == {"Authorization": "Bearer t"}


def test_a_token_that_cannot_be_written_or_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    environ = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(tmp_path / "file" / "token")}
    with pytest.raises(LaunchError, match="cannot be written"):
        ensure_token(environ)
    with pytest.raises(LaunchError, match="cannot be read"):
        auth_headers(environ)


def test_the_state_folder_follows_the_users_own() -> None:
    assert settings(XDG_STATE_HOME="/s").folder == Path("/s/fathomnet-serve")
    assert settings(XDG_STATE_HOME="/s", FATHOM_DATA_DIR="/d").folder == Path("/d")
