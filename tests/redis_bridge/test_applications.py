"""The two applications as the configuration names them: built, checked, without starting Ray."""

import pytest

from redis_bridge import app, embedded
from redis_bridge.embedded import EmbeddedSettings
from redis_bridge.settings import REDIS_URL_VARIABLE, BridgeSettings
from redis_bridge.valkey_process import ValkeyProcess


@pytest.fixture(autouse=True)
def _no_real_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REDIS_URL_VARIABLE, raising=False)


def settings_of(process: ValkeyProcess) -> EmbeddedSettings:
    return EmbeddedSettings(port=process._settings.port, data_folder=str(process._settings.folder))


def test_the_bridge_is_given_time_to_drain() -> None:
    application = app.build(BridgeSettings(drain_s=7))
    deployment = application._bound_deployment
    assert deployment.name == "Bridge"
    assert deployment._deployment_config.graceful_shutdown_timeout_s == 7 + app.STOP_MARGIN_S


def test_the_embedded_server_takes_no_cpu_from_the_models() -> None:
    deployment = embedded.build(EmbeddedSettings())._bound_deployment
    assert deployment.name == app.VALKEY_DEPLOYMENT
    assert deployment.ray_actor_options["num_cpus"] == 0


def test_no_live_knobs_are_declared() -> None:
    assert app.USER_CONFIG == embedded.USER_CONFIG == {}


def test_the_port_must_be_free_unless_our_own_server_has_it(own_valkey: ValkeyProcess) -> None:
    settings = settings_of(own_valkey)
    assert embedded.ports(settings) == {"port": ("127.0.0.1", settings.port)}
    own_valkey.start()
    assert embedded.ports(settings) == {}
    stranger = EmbeddedSettings(port=settings.port, data_folder=f"{settings.data_folder}-other")
    assert embedded.ports(stranger) == {"port": ("127.0.0.1", settings.port)}


def test_no_port_is_needed_with_a_real_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REDIS_URL_VARIABLE, "redis://queue.example:6379/0")
    assert embedded.ports(EmbeddedSettings()) == {}
