"""Where gRPC listens, and what its port needs."""

import pytest
from pydantic import ValidationError

from serve_app.launcher.configuration.builders import load_builder
from serve_app.launcher.configuration.env_overrides import rendered
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.console import LaunchError
from serve_app.settings import DoorSettings

DOOR = {"name": "api", "import_path": "serve_app.app:build", "args": {"default_model": "first"}}


def settings(**values: str) -> SystemSettings:
    return SystemSettings.from_environment(values)


def test_grpc_listens_where_http_does_and_only_where_it_is_asked_for() -> None:
    system = {"http_options": {"host": "10.0.0.5", "port": 9000}, "applications": [DOOR]}
    assert rendered(system, settings(), has_real_redis=False) == system
    given = settings(FATHOM_GRPC_PORT="9001")
    [door] = rendered(system, given, has_real_redis=False)["applications"]
    assert door["args"] == {**DOOR["args"], "grpc_port": 9001, "grpc_host": "10.0.0.5"}
    assert load_builder(door["import_path"]).ports(door["args"]) == {"grpc_port": ("10.0.0.5", 9001)}
    [door] = rendered({"applications": [DOOR]}, given, has_real_redis=False)["applications"]
    assert load_builder(door["import_path"]).ports(door["args"]) == {"grpc_port": ("127.0.0.1", 9001)}
    alone = {**DOOR, "args": {"grpc_port": 9002, "grpc_host": "127.0.0.1"}}
    [door] = rendered({**system, "applications": [alone]}, settings(), has_real_redis=False)["applications"]
    assert door == alone


@pytest.mark.parametrize(
    ("plain", "host"), [("loopback", "127.0.0.1"), ("redirect", "127.0.0.1"), ("open", "0.0.0.0")]
)
def test_with_a_certificate_grpc_is_for_those_who_may_use_plain_http(plain: str, host: str) -> None:
    system = {"http_options": {"host": "0.0.0.0"}, "applications": [DOOR]}
    given = settings(FATHOM_GRPC_PORT="9001", FATHOM_TLS_CERTIFICATE="/tls/door.pem", FATHOM_PLAIN_HTTP=plain)
    [door] = rendered(system, given, has_real_redis=False)["applications"]
    assert load_builder(door["import_path"]).ports(door["args"]) == {"grpc_port": (host, 9001)}
    chosen = {**DOOR, "args": {"grpc_host": "10.0.0.5"}}
    [door] = rendered({**system, "applications": [chosen]}, given, has_real_redis=False)["applications"]
    assert door["args"]["grpc_host"] == "10.0.0.5"


def test_grpc_without_its_face_is_refused() -> None:
    given = settings(FATHOM_GRPC_PORT="9001", FATHOM_FACES="cvat")
    with pytest.raises(
        LaunchError, match="FATHOM_GRPC_PORT: gRPC is answered by the face open_inference, which faces"
    ):
        rendered({"applications": [DOOR]}, given, has_real_redis=False)
    with pytest.raises(ValidationError, match="which faces leaves out"):
        DoorSettings(grpc_port=9001, faces=("cvat",))
