"""Our own environment variables: what each FATHOM_... variable means, its default and its limits.

Everything is optional. `pydantic-settings` would read these fields as well, but it ignores variables that it does not
know, and here a misspelt one is refused with the nearest right name. What it would save is ten lines of
`SystemSettings.from_environment`.
"""

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator

from deployments.definition import Settings
from deployments.process.state_folder import DEFAULT_STATE_FOLDER, default_state_folder
from deployments.text.nearest_name import nearest_of
from deployments.watching.settings import tracing_problems
from deployments.weights.settings import DEFAULT_FOLDER, plain_address
from serve_app.fetching.allow_list import AllowList
from serve_app.known_faces import check_faces
from serve_app.launcher.configuration.ray_variables import cluster_host
from serve_app.launcher.console import LaunchError
from serve_app.launcher.processes.log_file import DEFAULT_MAX_BYTES
from serve_app.launcher.processes.log_folder import DEFAULT_MAX_BYTES as DEFAULT_LOGS_MAX_BYTES

PREFIX = "FATHOM_"
NONE = "none"
OF_CLIENT = frozenset({"FATHOM_URL"})  # what the command `fathom` reads: one shell may start both
API_KEY = "FATHOM_API_KEY"
"""A secret: no process that is started gets it, and no file."""


class SystemSettings(Settings):
    """What FATHOM_... variables say: the field `http_port` is the variable FATHOM_HTTP_PORT. None: not set."""

    http_host: str | None = Field(default=None, min_length=1)
    """Address that the HTTP door listens on."""

    http_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the HTTP door."""

    grpc_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the HTTP door for gRPC, on the same address: docs/connect.md. There is no gRPC when not set."""

    http_connections_per_client: int | None = Field(default=None, ge=1)
    """Connections that one client address (of IPv6, one /64) may hold; a quarter of all, which are 4096 where the
    limit of open files allows it, when not set. Raise it for a proxy of your own in front."""

    http_header_patience_s: float = Field(default=10.0, ge=0.1, le=60)
    """Seconds within which the head of an HTTP request must arrive."""

    faces: str | None = None
    """Faces of the HTTP door for the tools of others, with commas between them (`open_inference,cvat`), or `none`:
    docs/connect.md. All that need no connection to elsewhere, when not set."""

    fetch_hosts: str | None = None
    """Hosts from which the HTTP door fetches images that clients give as addresses, with commas between them
    (`*.mbari.org,http://labelstudio.ship:8080 private`), or `none`: docs/security.md. As in the YAML when not set."""

    api_keys_file: Path | None = None
    """File of API keys, an absolute path. With it the HTTP door asks for a key; without it everybody who reaches the
    port may call: docs/security.md. It is read again when it changes."""

    api_key: SecretStr | None = None
    """Key that commands such as `make status` show to the HTTP door, where it asks for keys. A secret: never written
    to a file or shown."""

    trusted_proxies: str | None = Field(default=None, min_length=1)
    """Addresses or networks of proxies of your own in front, with commas between them (`10.0.0.5,10.1.0.0/16`). What
    they say in `X-Forwarded-For` and `X-Forwarded-Proto` is believed, and of nobody else."""

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

    start_patience_s: float = Field(default=600.0, gt=0)
    """Seconds after which `make serve` stops waiting for applications that are still starting."""

    stop_grace_s: float = Field(default=60.0, gt=0)
    """Seconds that a stopping system may take to finish what is in flight, before it is killed."""

    hang_patience_s: float = Field(default=60.0, ge=15)
    """Seconds of silence after which Ray Serve's controller counts as hung, and `make serve` ends."""

    @field_validator("http_host", "dashboard_host")
    @classmethod
    def _host_is_bare(cls, value: str | None) -> str | None:
        """`[::1]`, as URLs have it, is the address ::1."""
        return value[1:-1] if value and value.startswith("[") and value.endswith("]") else value

    @field_validator("dashboard_host")
    @classmethod
    def _dashboard_is_where_ray_puts_it(cls, value: str) -> str:
        """Ray's dashboard listens on 127.0.0.1 when it is given the other loopback address."""
        return "127.0.0.1" if value == "::1" else value

    @field_validator("data_dir", "ray_temp_dir")
    @classmethod
    def _path_is_readable(cls, value: Path | None) -> Path | None:
        # Valkey reads its path from lines of text, and Ray passes paths in command lines.
        if value is not None and not str(value).isprintable():
            raise ValueError("must have no line breaks and no bytes that are not UTF-8")
        return value

    @field_validator("api_keys_file")
    @classmethod
    def _file_is_found_from_everywhere(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("must be an absolute path, as the door runs in a folder of Ray's")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_networks(cls, value: str | None) -> str | None:
        if value is None:
            return None
        # `ip_network` names what is wrong, such as a network with bits of a host.
        return ",".join(str(ip_network(part.strip())) for part in value.split(","))

    @field_validator("faces", "fetch_hosts")
    @classmethod
    def _entries_are_right(cls, value: str | None, info: ValidationInfo) -> str | None:
        check = check_faces if info.field_name == "faces" else AllowList.of
        check(listed(value) or ())
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


def listed(value: str | None) -> list[str] | None:
    """The entries of a list of words, as `faces` and `fetch_hosts` are; None where it is not set."""
    if value is None:
        return None
    return [] if value == NONE else [part.strip() for part in value.split(",")]


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
