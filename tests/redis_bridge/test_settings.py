"""The settings of both applications, and what may be said about an address."""

import pytest
from pydantic import ValidationError

from redis_bridge.client.connection import connect
from redis_bridge.client.urls import without_password
from redis_bridge.settings import BridgeSettings
from serve_app.launcher.configuration.field_docs import field_docs


def test_a_bridge_must_not_be_declared_dead_between_two_heartbeats() -> None:
    with pytest.raises(ValidationError, match="takeover_after_s must be at least 20"):
        BridgeSettings(heartbeat_s=10)


@pytest.mark.parametrize("name", list(BridgeSettings.model_fields))
def test_every_setting_has_a_default_and_a_sentence(name: str) -> None:
    field = BridgeSettings.model_fields[name]
    assert not field.is_required()
    assert field_docs(BridgeSettings)[name].endswith(".")


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="result_ttl"):
        BridgeSettings.model_validate({"result_ttl": 5})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:secret@queue.example:6380/2", "redis://queue.example:6380/2"),
        ("rediss://user:s%40cret@queue.example/0?ssl_cert_reqs=none&password=x", "rediss://queue.example/0"),
        ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
        ("redis+sentinel://:secret@a:1,b:2/name/0?sentinel_password=x", "redis+sentinel://a:1,b:2/name/0"),
        ("unix://user:secret@/run/redis.sock?db=1", "unix:///run/redis.sock"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert without_password(url) == shown


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="must begin with redis://"):
        connect("127.0.0.1:6379", 1)
