"""HAProxy's files lie in the system's own folder, and what is not for others listens on this machine only."""

import stat
import subprocess
from pathlib import Path

import pytest

from serve_app.environment import for_ray
from serve_app.haproxy import ENABLED, haproxy_environment

CONFIG = """\
frontend prometheus
    bind :9101
frontend http_frontend
    bind 0.0.0.0:8082
listen stats
  bind *:8404
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return for_ray({}) | haproxy_environment(tmp_path, for_ray({}))


def test_it_is_on_by_default_and_can_be_switched_off(environ: dict[str, str], tmp_path: Path) -> None:
    assert environ[ENABLED] == "1"
    assert haproxy_environment(tmp_path, for_ray({ENABLED: "0"})) == {ENABLED: "0"}


def test_its_files_are_for_the_owner_only(environ: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "haproxy"
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    paths = [value for name, value in environ.items() if name.startswith("RAY_SERVE_HAPROXY") and "/" in value]
    assert len(paths) == 6
    assert all(path.startswith(str(home)) for path in paths)


def test_a_value_of_the_user_wins(tmp_path: Path) -> None:
    chosen = for_ray({"RAY_SERVE_HAPROXY_STATS_PORT": "9999"})
    assert "RAY_SERVE_HAPROXY_STATS_PORT" not in haproxy_environment(tmp_path, chosen)


def test_two_systems_get_different_ports(tmp_path: Path) -> None:
    names = ("RAY_SERVE_HAPROXY_METRICS_PORT", "RAY_SERVE_HAPROXY_STATS_PORT")
    ports = [haproxy_environment(tmp_path / name, for_ray({}))[port] for name in "ab" for port in names]
    assert ports[0] != ports[1]
    assert ports[2] != ports[3]


def test_a_folder_with_a_long_name_still_gives_short_socket_names(tmp_path: Path) -> None:
    found = haproxy_environment(tmp_path / ("x" * 120), for_ray({}))
    assert len(found["RAY_SERVE_HAPROXY_SOCKET_PATH"]) < 107


def test_the_wrapper_closes_the_side_doors_and_leaves_the_front_door(environ: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "x.cfg"
    config.write_text(CONFIG)
    wrapper = environ["RAY_SERVE_HAPROXY_BINARY_PATH"]
    subprocess.run([wrapper, "-c", "-f", str(config)], check=False, capture_output=True, timeout=20)
    binds = [line.split()[1] for line in config.read_text().splitlines() if "bind" in line]
    assert binds == ["127.0.0.1:9101", "0.0.0.0:8082", "127.0.0.1:8404"]
