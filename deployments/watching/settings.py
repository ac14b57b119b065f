"""Whether requests are logged and traced. Read from the environment, which is the same for the launcher and the
replicas; where traces go is said by the standard variables of OpenTelemetry."""

import importlib.util
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field

from deployments.definition import Settings

PREFIX = "FATHOM_"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
DEFAULT_ENDPOINT = "http://localhost:4318"
EXPORTER = "opentelemetry.exporter.otlp.proto.http"
INSTALL = "./install.sh .venv tracing"


class WatchSettings(Settings):
    """The field `log_requests` is the environment variable FATHOM_LOG_REQUESTS, and so on."""

    log_requests: bool = False
    """Whether each answered request is a line in the logs of the door and of the replica."""

    trace_share: float = Field(default=0.0, ge=0, le=1)
    """Part of all requests and jobs that is traced."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`; an empty value counts as not set. Raises pydantic's ValidationError."""
        names = {field: f"{PREFIX}{field.upper()}" for field in cls.model_fields}
        return cls.model_validate({field: environ[name] for field, name in names.items() if environ.get(name)})


def tracing_problems(environ: Mapping[str, str]) -> list[str]:
    """Why nothing can be traced here although it is asked for."""
    problems = []
    if not _is_installed():
        problems.append(f"{PREFIX}TRACE_SHARE: the packages for traces are missing; install them: {INSTALL}")
    url = urlsplit(environ.get(ENDPOINT) or DEFAULT_ENDPOINT)
    if url.scheme not in ("http", "https") or not url.hostname:
        problems.append(f"{ENDPOINT}: must be http://HOST:PORT or https://HOST:PORT of a collector")
    return problems


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec(EXPORTER) is not None
    except ModuleNotFoundError:
        return False
