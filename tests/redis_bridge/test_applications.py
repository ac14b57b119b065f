"""The two applications as the configuration names them: built, checked, without starting Ray."""

from pathlib import Path

import psutil
import pytest

from redis_bridge import app, embedded
from redis_bridge.embedded import EmbeddedSettings
from redis_bridge.server.valkey_configuration import half_of_memory_bytes
from redis_bridge.server.valkey_process import ValkeyError, ValkeyProcess
from redis_bridge.settings import REDIS_URL_VARIABLE, BridgeSettings


@pytest.fixture(autouse=True)
def _no_real_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REDIS_URL_VARIABLE, raising=False)


def settings_of(process: ValkeyProcess) -> EmbeddedSettings:
    return EmbeddedSettings(port=process.settings.port, data_folder=str(process.settings.folder))


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


def test_the_embedded_server_is_refused_more_than_half_of_the_memory(tmp_path: Path) -> None:
    half = psutil.virtual_memory().total // 2
    limit = tmp_path / "memory.max"
    assert half_of_memory_bytes(limit) == half
    for text, expected in (("max\n", half), ("1000000000\n", 500_000_000), (f"{half * 4}\n", half)):
        limit.write_text(text)
        assert half_of_memory_bytes(limit) == expected
    assert embedded._process(EmbeddedSettings()).settings.maxmemory_bytes == half_of_memory_bytes()
    assert embedded._process(EmbeddedSettings(maxmemory_bytes=0)).settings.maxmemory_bytes == 0
    assert embedded._process(EmbeddedSettings(maxmemory_bytes=7)).settings.maxmemory_bytes == 7


def test_no_port_is_needed_with_a_real_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REDIS_URL_VARIABLE, "redis://queue.example:6379/0")
    assert embedded.ports(EmbeddedSettings()) == {}


@pytest.mark.filterwarnings(
    "ignore:coroutine 'ValkeyDeployment.__del__'"
)  # Ray Serve awaits it, the garbage collector not
async def test_nothing_is_started_when_a_real_redis_is_named(
    monkeypatch: pytest.MonkeyPatch, own_valkey: ValkeyProcess
) -> None:
    monkeypatch.setenv(REDIS_URL_VARIABLE, "redis://queue.example:6379/0")
    replica_class = embedded.ValkeyDeployment.func_or_class
    replica = replica_class.__new__(replica_class)
    # As Ray Serve does, which awaits the constructor.
    await replica.__init__(settings_of(own_valkey))
    with pytest.raises(ValkeyError, match="REDIS_URL is set"):
        await replica.address()
    await replica.check_health()
    assert own_valkey.living_pid() is None


def test_a_cluster_of_several_nodes_is_refused_in_one_line_with_the_way_out() -> None:
    embedded.refuse_many_nodes(1)
    with pytest.raises(ValkeyError, match=r"one node only and this cluster has 3; .* set REDIS_URL"):
        embedded.refuse_many_nodes(3)


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FATHOM_DATA_DIR", str(tmp_path))
    assert embedded.default_folder() == tmp_path / "valkey"
    monkeypatch.delenv("FATHOM_DATA_DIR")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert embedded.default_folder() == tmp_path / "state" / "fathomnet-serve" / "valkey"
