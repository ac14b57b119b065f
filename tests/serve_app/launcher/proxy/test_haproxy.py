"""HAProxy's files lie in the system's own folder, and what is not for others listens on this machine only."""

import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.launcher.configuration.ray_variables import for_ray
from serve_app.launcher.console import LaunchError
from serve_app.launcher.processes.ports import QUIET_PORTS, Listener
from serve_app.launcher.proxy.haproxy import (
    ENABLED,
    PORTS,
    ConnectionLimits,
    behind_haproxy,
    given_ports,
    haproxy_environment,
)

DOOR = Listener("FATHOM_HTTP_PORT", "0.0.0.0", 8082)

CONFIG = """\
frontend prometheus
    bind :9101
frontend http_frontend
    bind 127.0.0.1:8082
listen stats
  bind *:8404
"""


@pytest.fixture
def environ() -> Iterator[dict[str, str]]:
    with haproxy_environment(for_ray({}), DOOR) as found:
        yield for_ray({}) | found


def test_it_is_on_by_default_and_can_be_switched_off(environ: dict[str, str]) -> None:
    assert environ[ENABLED] == "1"
    with haproxy_environment(for_ray({ENABLED: "0"}), DOOR) as found:
        assert found == {
            ENABLED: "0",
            "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "serve_app.launcher.proxy.in_front:middlewares",
            "FORWARDED_ALLOW_IPS": "none",
        }


def test_without_it_rays_own_proxy_believes_the_trusted_proxies() -> None:
    limits = ConnectionLimits(trusted_proxies=("10.0.0.5/32", "10.1.0.0/16"))
    with haproxy_environment(for_ray({ENABLED: "0"}), DOOR, limits) as found:
        assert found["FORWARDED_ALLOW_IPS"] == "10.0.0.5/32,10.1.0.0/16"


def test_its_files_are_for_the_owner_only_and_go_at_the_end() -> None:
    with haproxy_environment(for_ray({}), DOOR) as found:
        home = Path(found["RAY_SERVE_HAPROXY_SOCKET_PATH"]).parent
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        paths = [value for value in found.values() if "/" in value]
        assert len(paths) == 6
        assert all(path.startswith(str(home)) for path in paths)
    assert not home.exists()


def test_a_value_of_the_user_wins() -> None:
    given = {"RAY_SERVE_HAPROXY_STATS_PORT": "9999", "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": "8500"}
    with haproxy_environment(for_ray(given), DOOR) as found:
        assert not given.keys() & found.keys()
    assert given_ports(given) == {name: int(port) for name, port in given.items()}


@pytest.mark.parametrize("value", ["", "x", "0", "70000", "-1"])
def test_what_is_no_port_is_refused_by_the_name_of_its_variable(value: str) -> None:
    with pytest.raises(LaunchError, match="RAY_SERVE_FALLBACK_PROXY_HTTP_PORT: must be a port"):
        given_ports({"RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": value})


def test_its_statistics_are_on_ports_that_no_connection_is_given_meanwhile() -> None:
    with haproxy_environment(for_ray({}), DOOR) as found:
        ports = [int(value) for name, value in found.items() if name.endswith("_PORT")]
    # Two of statistics, and those of Ray's own proxy behind it, over HTTP and gRPC.
    assert len(set(ports)) == 4
    assert all(port in QUIET_PORTS for port in ports)


def test_every_port_is_documented_by_the_variable_that_sets_it() -> None:
    page = (Path(__file__).parents[4] / "docs" / "machine.md").read_text()
    assert [name for name in PORTS if f"`{name}`" not in page] == []


def test_two_systems_share_nothing() -> None:
    with haproxy_environment(for_ray({}), DOOR) as first, haproxy_environment(for_ray({}), DOOR) as second:
        shared = {name for name in first if first[name] == second[name]}
    assert shared == {
        "RAY_SERVE_HAPROXY_RETRY_ON",
        "RAY_SERVE_HAPROXY_METRICS_ENABLED",
        "RAY_SERVE_HAPROXY_MAXCONN",
        "RAY_SERVE_HAPROXY_TUNE_BUFSIZE",
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S",
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S",
    }


@pytest.mark.parametrize(("serve_s", "haproxy_s"), [(120.0, "130"), (0.5, "11"), (None, "3610")])
def test_it_waits_for_an_answer_longer_than_serve_does_and_never_for_ever(
    serve_s: float | None, haproxy_s: str
) -> None:
    limits = ConnectionLimits(answer_timeout_s=serve_s)
    with haproxy_environment(for_ray({}), DOOR, limits) as found:
        assert found["RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S"] == haproxy_s


@pytest.mark.parametrize("runtime_dir", ["", "/nowhere", "/a/much/longer/folder/than/usual"])
def test_socket_names_leave_room_for_the_id_of_a_node(runtime_dir: str) -> None:
    with haproxy_environment(for_ray({"XDG_RUNTIME_DIR": runtime_dir}), DOOR) as found:
        folder = Path(found["RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH"]).parent
    assert len(str(folder)) + len("/") + 56 + len("/metrics.sock") <= 97


@pytest.mark.parametrize(
    ("host", "bound"), [("0.0.0.0", "0.0.0.0:8082"), ("127.0.0.1", "127.0.0.1:8082"), ("::", "[::]:8082")]
)
def test_the_wrapper_opens_the_front_door_and_closes_the_side_doors(tmp_path: Path, host: str, bound: str) -> None:
    config = tmp_path / "x.cfg"
    config.write_text(CONFIG)
    with haproxy_environment(for_ray({}), Listener("FATHOM_HTTP_PORT", host, 8082)) as found:
        wrapper = found["RAY_SERVE_HAPROXY_BINARY_PATH"]
        subprocess.run([wrapper, "-c", "-f", str(config)], check=False, capture_output=True, timeout=20)
    binds = [line.split()[1] for line in config.read_text().splitlines() if "bind" in line]
    assert binds == ["127.0.0.1:9101", bound, "127.0.0.1:8404"]


def test_replicas_listen_on_this_machine_only() -> None:
    document = {"http_options": {"host": "0.0.0.0", "port": 8082}, "applications": []}
    environ = {"RAY_SERVE_ENABLE_HA_PROXY": "1"}
    assert behind_haproxy(document, environ)["http_options"] == {"host": "127.0.0.1", "port": 8082}
    assert behind_haproxy(document, {**environ, "RAY_ADDRESS": "10.0.0.1:6379"}) == document
    assert behind_haproxy(document, {"RAY_SERVE_ENABLE_HA_PROXY": "0"}) == document
    assert document["http_options"]["host"] == "0.0.0.0"
