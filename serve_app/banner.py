"""What a person sees when the system is up: where everything is, and a command that works. Pure text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import deployments
from serve_app.environment import reachable_host
from serve_app.system_state import ApplicationState

SAMPLES_FOLDER = Path(deployments.__file__).parent / "families" / "demo" / "samples"


def http_address(document: Mapping[str, Any]) -> str:
    """The address of the HTTP door as this machine reaches it, without a slash at the end."""
    options = document.get("http_options", {})
    scheme = "https" if options.get("ssl_certfile") else "http"
    return f"{scheme}://{reachable_host(options.get('host', '0.0.0.0'))}:{options.get('port', 8000)}"


def redis_address(redis_url: str, embedded_port: int | None) -> str:
    """Host and port of Redis: of `redis_url` without its password, else of the embedded server; '' if none."""
    if not redis_url:
        return f"localhost:{embedded_port}" if embedded_port else ""
    parts = urlsplit(redis_url)
    return parts.path if parts.scheme == "unix" else f"{parts.hostname or 'localhost'}:{parts.port or 6379}"


def banner(address: str, dashboard: str, redis: str, states: Mapping[str, ApplicationState]) -> str:
    """The lines shown when everything that can start has started."""
    sample = next(iter(sorted(SAMPLES_FOLDER.glob("*.png"))), Path("frame.png"))
    lines = ["", f"  Page            {address}/", f"  Predict         {address}/predictor/  (POST, field `file`)"]
    if dashboard:
        lines.append(f"  Ray dashboard   {dashboard}")
    if redis:
        lines.append(f"  Redis           {redis}")
    lines += ["  Try it          " + f"curl -F 'file=@{sample};type=image/png' {address}/predictor/"]
    missing = [
        f"  NOT RUNNING     {one.name}: {one.reason or one.status}" for one in states.values() if not one.is_healthy
    ]
    return "\n".join([*lines, *missing, "", "Ctrl-C stops the system and finishes what is in flight."])
