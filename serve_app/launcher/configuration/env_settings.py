"""Our own environment variables: what each FATHOM_... variable means, its default and its limits.

Everything is optional. `pydantic-settings` would read these fields as well, but it ignores variables that it does not
know, and here a misspelt one is refused with the nearest right name. What it would save is ten lines of
`SystemSettings.from_environment`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, field_validator

from deployments.process.state_folder import DEFAULT_STATE_FOLDER, default_state_folder
from deployments.text.nearest_name import nearest_of
from deployments.watching.settings import tracing_problems
from deployments.weights.settings import DEFAULT_FOLDER, plain_address
from serve_app.launcher.configuration.http_settings import HttpSettings, bare_host
from serve_app.launcher.configuration.ray_variables import cluster_host
from serve_app.launcher.console import LaunchError
from serve_app.launcher.processes.log_file import DEFAULT_MAX_BYTES
from serve_app.launcher.processes.log_folder import DEFAULT_MAX_BYTES as DEFAULT_LOGS_MAX_BYTES

PREFIX = "FATHOM_"
OF_CLIENT = frozenset({"FATHOM_URL", "FATHOM_CACERT"})  # what the command `fathom` reads: one shell may start both
API_KEY = "FATHOM_API_KEY"
"""A secret: no process that is started gets it, and no file."""


class SystemSettings(HttpSettings):
    """What FATHOM_... variables say: the field `http_port` is the variable FATHOM_HTTP_PORT. None: not set."""

    dashboard_host: str = Field(default="127.0.0.1", min_length=1)
    """Address that the Ray dashboard listens on. Whoever has it and the token can run code. With `RAY_ADDRESS`, where
    the dashboard of that cluster is; its head, when not set."""

    dashboard_port: int = Field(default=8265, ge=1, le=65535)
    """Port of the Ray dashboard, through which `make deploy`, `add`, `remove` and `status` work."""

    redis_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the embedded Valkey."""

    num_gpus: float | None = Field(default=None, ge=0)
    """Share of a GPU that every replica of every model takes: 0, a part such as 0.25, or whole GPUs."""

    max_replicas: int | None = Field(default=None, ge=1)
    """Most replicas of every model. More than one are started under load, and where there is room for them."""

    data_dir: Path = DEFAULT_STATE_FOLDER
    """Folder of the running system: its rendered configuration, its log and the data of the embedded Valkey.
    Two systems on one machine need two. XDG_STATE_HOME moves the default."""

    weights_dir: Path = DEFAULT_FOLDER
    """Cache of fetched weights, the same on all machines of a system: shared, or copied. XDG_CACHE_HOME moves the
    default."""

    weights_offline: bool = False
    """`1`: the network is never used for weights; a model whose weights are not in the cache says so at once."""

    weights_mirror: str | None = Field(default=None, min_length=1)
    """Web server with the files of an exported cache (`http://ship:8000`), asked instead of the internet."""

    ray_temp_dir: Path | None = None
    """Folder of Ray's sockets and logs; a short path, as socket names are limited to 107 bytes."""

    log_max_bytes: int = Field(default=DEFAULT_MAX_BYTES, ge=2**20)
    """Size of `serve.log` in bytes at which it is rotated; the lines until then become `serve.log.1`."""

    logs_max_bytes: int = Field(default=DEFAULT_LOGS_MAX_BYTES, ge=2**26)
    """Bytes that all logs of Ray and of replicas on this machine may have together; beyond it the oldest of processes
    that have ended are removed. Not on a cluster that is joined."""

    log_format: Literal["text", "json"] | None = None
    """How lines of Ray Serve and of replicas are written: `text`, or `json`, a document for each line."""

    log_requests: bool = False
    """`1`: each job, and each HTTP request but for the page and health, is a line in the log of its door, with its
    id; each image another in that of the replica."""

    trace_share: float = Field(default=0.0, ge=0, le=1)
    """Part of all uploads and jobs that is traced with OpenTelemetry, such as 0.01. An upload that comes with a
    `traceparent` is traced if its client says so, whenever this is above 0. Needs packages: docs/monitoring.md."""

    fork_workers: bool = True
    """`0`: each of Ray's worker processes imports its libraries for itself. Forked from one that has imported them,
    they start sooner and share memory. Not on a cluster that is joined."""

    start_patience_s: float = Field(default=600.0, gt=0)
    """Seconds after which `make serve` stops waiting for applications that are still starting."""

    stop_grace_s: float = Field(default=60.0, gt=0)
    """Seconds that a stopping system may take to finish what is in flight, before it is killed."""

    hang_patience_s: float = Field(default=60.0, ge=15)
    """Seconds of silence after which Ray Serve's controller counts as hung, and `make serve` ends."""

    @field_validator("dashboard_host")
    @classmethod
    def _dashboard_is_where_ray_puts_it(cls, value: str) -> str | None:
        """Ray's dashboard listens on 127.0.0.1 when it is given the other loopback address."""
        bare = bare_host(value)
        return "127.0.0.1" if bare == "::1" else bare

    @field_validator("data_dir", "ray_temp_dir")
    @classmethod
    def _path_is_readable(cls, value: Path | None) -> Path | None:
        # Valkey reads its path from lines of text, and Ray passes paths in command lines.
        if value is not None and not str(value).isprintable():
            raise ValueError("must have no line breaks and no bytes that are not UTF-8")
        return value

    @field_validator("weights_mirror")
    @classmethod
    def _mirror_is_plain(cls, value: str | None) -> str | None:
        return None if value is None else plain_address(value)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`; an empty value counts as not set.

        Raises LaunchError naming each variable that is unknown or out of range.
        """
        names = {variable_name(field): field for field in cls.model_fields}
        given = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
        problems = [_unknown(name, list(names)) for name in given if name not in names and name not in OF_CLIENT]
        values = {names[name]: value for name, value in given.items() if name in names}
        values.setdefault("data_dir", str(default_state_folder(environ)))
        if head := cluster_host(environ):
            values.setdefault("dashboard_host", head)
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            problems += [
                f"{variable_name(str(one['loc'][0]))}: {_without_kind(one['msg'])} (got {one['input']!r})"
                for one in error.errors(include_url=False)
            ]
        else:
            problems += tracing_problems(environ) if settings.trace_share > 0 else []
        if problems:
            raise LaunchError(problems)
        return settings

    @property
    def folder(self) -> Path:
        """`data_dir` as an absolute path."""
        try:
            return self.data_dir.expanduser().absolute()
        except RuntimeError:
            raise LaunchError("this user has no home folder; set FATHOM_DATA_DIR to a folder, or HOME") from None

    @property
    def dashboard_url(self) -> str:
        """Where this machine reaches the dashboard."""
        return f"http://{reachable_address(self.dashboard_host, self.dashboard_port)}"


def _without_kind(message: str) -> str:
    return message.removeprefix("Value error, ")


def variable_name(field: str) -> str:
    """The environment variable of a field of SystemSettings."""
    return f"{PREFIX}{field.upper()}"


def reachable_host(host: str) -> str:
    """The name under which this machine reaches a server that listens on `host`."""
    return "localhost" if host in ("0.0.0.0", "::", "") else host


def reachable_address(host: str, port: int) -> str:
    """Host and port, as a URL has them, under which this machine reaches a server that listens on `host`."""
    name = reachable_host(host)
    return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"


def _unknown(name: str, known: list[str]) -> str:
    return f"{name}: unknown environment variable; {nearest_of(name, known)}"
