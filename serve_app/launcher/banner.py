"""The text that a user sees when the system is up: where everything is, and a command that works. Not part of
`console`, which the launcher imports before it may start a thread."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from deployments.families.demo import SAMPLES_FOLDER
from serve_app.launcher.app_status import ApplicationState
from serve_app.launcher.configuration.env_settings import reachable_address

REDIS_PORT = 6379
SENTINEL_PORT = 26379
_HOST = r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d+)?"
_HOSTS = re.compile(rf"{_HOST}(?:,{_HOST})*")
_HAS_PORT = re.compile(r":\d+\Z")
_HIDDEN_ADDRESS = "as REDIS_URL says"


def http_address(document: Mapping[str, Any]) -> str:
    """The address of the HTTP door as this machine reaches it, without a slash at the end."""
    options = document.get("http_options") or {}
    scheme = "https" if options.get("ssl_certfile") else "http"
    return f"{scheme}://{reachable_address(options.get('host') or '0.0.0.0', options.get('port', 8000))}"


def cluster_addresses(document: Mapping[str, Any], hosts: Sequence[str]) -> list[str]:
    """The addresses of the HTTP door on these nodes of a cluster; that of this machine when there is none."""
    options = document.get("http_options") or {}
    return [http_address({"http_options": {**options, "host": host}}) for host in hosts] or [http_address(document)]


def redis_address(redis_url: str, embedded_port: int | None) -> str:
    """Hosts and ports of Redis: of `redis_url` without user, password and options, else of the embedded server; ''
    if none. An address that cannot be read raises nothing here, since the bridge refuses it; no secret is shown."""
    if not redis_url:
        return f"localhost:{embedded_port}" if embedded_port else ""
    scheme, _, rest = redis_url.partition("://")
    place, _, options = rest.partition("?")
    if "@" in options:  # a password with a question mark, perhaps
        return _HIDDEN_ADDRESS
    place = place.rpartition("@")[2]
    if scheme == "unix":
        return place
    hosts, _, path = place.partition("/")
    hosts = hosts or "localhost"
    if not _HOSTS.fullmatch(hosts):
        return _HIDDEN_ADDRESS
    default_port = SENTINEL_PORT if scheme.endswith("+sentinel") else REDIS_PORT
    shown = ",".join(host if _HAS_PORT.search(host) else f"{host}:{default_port}" for host in hosts.split(","))
    return f"{path.partition('/')[0]} of {shown}" if scheme.endswith("+sentinel") else shown


def banner(address: str, dashboard: str, redis: str, states: Mapping[str, ApplicationState]) -> str:
    """The lines shown when everything that can start has started."""
    sample = next(iter(sorted(SAMPLES_FOLDER.glob("*.png"))), Path("frame.png"))
    lines = ["", f"  Page            {address}/", f"  Predict         {address}/predictor/  (POST, field `file`)"]
    if dashboard:
        lines.append(f"  Ray dashboard   {dashboard}")
    if redis:
        lines.append(f"  Redis           {redis}")
    lines += ["  Try it          " + f"curl -F {_quoted(f'file=@{sample};type=image/png')} {address}/predictor/"]
    missing = [
        f"  NOT RUNNING     {one.name}: {one.reason or one.status}" for one in states.values() if not one.is_healthy
    ]
    return "\n".join([*lines, *missing, "", "Ctrl-C stops the system and finishes what is in flight."])


def _quoted(text: str) -> str:
    return shlex.quote(text) if "'" in text else f"'{text}'"
