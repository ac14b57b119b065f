"""What workers need not import each for itself."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployments.families import FAMILIES

OF_EVERY_WORKER = (
    "PIL.Image",
    "aiohttp",
    "cv2",
    "fastapi",
    "filelock",
    "google.protobuf.json_format",
    "httpx",
    "jsonschema",
    "numpy",
    "opentelemetry.exporter.prometheus",
    "opentelemetry.sdk.metrics",
    "opentelemetry.sdk.trace",
    "orjson",
    "prometheus_client",
    "psutil",
    "pydantic",
    "redis.asyncio",
    "requests",
    "starlette.middleware",
    "uvicorn",
    "yaml",
)
"""Libraries of others that Ray Serve, a door, the bridge or a model imports. What must not be here: see `server`."""

OF_A_RUNTIME = {"tensorflow": ("tensorflow", "keras")}
"""Name of a runtime -> what its models import besides. TensorFlow looks for devices at its first operation only, so
that each replica sees the GPU that it was given."""


@dataclass(frozen=True, slots=True)
class Libraries:
    """Names of modules that workers share. first: from the start on.  later: once the system has started, so that its
    start does not wait for them, but each model that is woken has them."""

    first: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


def libraries_for(document: Mapping[str, Any]) -> Libraries:
    """Those for the system of `document`, a checked configuration; none that is missing."""
    families = {(app.get("args") or {}).get("family") for app in document["applications"]}
    runtimes = {FAMILIES[family].runtime for family in families if family in FAMILIES}
    of_runtimes = (name for runtime in sorted(runtimes) for name in OF_A_RUNTIME.get(runtime, ()))
    return Libraries(tuple(filter(_is_there, OF_EVERY_WORKER)), tuple(filter(_is_there, of_runtimes)))


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(name.partition(".")[0]) is not None
