"""HAProxy as the system runs it, without Ray: its file is the one that the installed Ray writes, and what starts it
is the wrapper."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
from ray.serve.config import HTTPOptions

from serve_app.launcher.configuration.ray_variables import for_ray
from serve_app.launcher.processes.ports import Listener, free_ports
from serve_app.launcher.proxy.haproxy import ConnectionLimits, haproxy_environment
from tests.support.waiting import wait_for

START_S = 20.0
USUAL_LIMITS = ConnectionLimits()
LOG = "127.0.0.1:514"


@contextmanager
def haproxy_environment_of(
    port: int, limits: ConnectionLimits = USUAL_LIMITS, **overridden: str
) -> Iterator[dict[str, str]]:
    """The variables of the system whose door listens on `port` of this machine."""
    environ = {**for_ray({}), "RAY_SERVE_HAPROXY_MAXCONN": "400", **overridden}
    with haproxy_environment(environ, Listener("FATHOM_HTTP_PORT", "127.0.0.1", port), limits) as found:
        yield environ | found


def config_by_ray(
    environ: dict[str, str], port: int, doors: Iterable[int], fallback: int | None = None, log_target: str = LOG
) -> Path:
    """The file that Ray writes when replicas of the door listen on `doors`; None: no application is there yet."""
    state = environ["RAY_SERVE_HAPROXY_SERVER_STATE_BASE"]
    servers = [ServerConfig(f"door-{door}", "127.0.0.1", door) for door in doors]
    reserve = None if fallback is None else ServerConfig("reserve", "127.0.0.1", fallback)
    backend = BackendConfig("http-api", "/", app_name="api", servers=servers, fallback_server=reserve)
    config = HAProxyConfig(
        http_options=HTTPOptions(host="127.0.0.1", port=port),
        is_head=True,
        has_received_routes=True,
        metrics_enabled=False,
        maxconn=int(environ["RAY_SERVE_HAPROXY_MAXCONN"]),
        bufsize=int(environ["RAY_SERVE_HAPROXY_TUNE_BUFSIZE"]),
        timeout_client_s=int(environ["RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S"]),
        timeout_server_s=int(environ["RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S"]),
        metrics_port=int(environ["RAY_SERVE_HAPROXY_METRICS_PORT"]),
        stats_port=int(environ["RAY_SERVE_HAPROXY_STATS_PORT"]),
        retry_on=environ["RAY_SERVE_HAPROXY_RETRY_ON"],
        socket_path=environ["RAY_SERVE_HAPROXY_SOCKET_PATH"],
        server_state_base=state,
        log_target=log_target,
        server_state_file=environ["RAY_SERVE_HAPROXY_SERVER_STATE_FILE"],
    )
    path = environ["RAY_SERVE_HAPROXY_CONFIG_FILE_LOC"]
    writer = HAProxyApi(config, {backend.name: backend} if servers or reserve else {}, path)
    writer._generate_config_file_internal()
    return Path(path)


@contextmanager
def haproxy_in_front(
    doors: Iterable[int] = (),
    fallback: int | None = None,
    limits: ConnectionLimits = USUAL_LIMITS,
    client_timeout_s: int = 60,
    log_target: str = LOG,
) -> Iterator[int]:
    """The port on which HAProxy listens for clients; 400 connections in all."""
    [port] = free_ports(1)
    client_timeout = {"RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(client_timeout_s)}
    with haproxy_environment_of(port, limits, **client_timeout) as environ:
        config = config_by_ray(environ, port, doors, fallback, log_target)
        with listening(environ["RAY_SERVE_HAPROXY_BINARY_PATH"], config, port):
            yield port


@contextmanager
def listening(binary: str, config: Path, port: int) -> Iterator[None]:
    """A HAProxy with this configuration, which is to listen on `port`; its log lies beside it."""
    log = config.with_name("log")
    with log.open("w") as output:
        command = [binary, "-db", "-f", str(config)]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=dict(os.environ))
    try:
        wait_until_it_listens(process, port, log)
        yield
    finally:
        process.kill()
        process.wait()


def wait_until_it_listens(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    def listens() -> bool:
        assert process.poll() is None, log.read_text()
        return _listens(process.pid, port)

    wait_for(listens, START_S, "HAProxy listening", poll_interval_s=0.02)


def _listens(pid: int, port: int) -> bool:
    connections = psutil.Process(pid).net_connections(kind="tcp")
    return any(one.status == psutil.CONN_LISTEN and one.laddr[1:2] == (port,) for one in connections)
