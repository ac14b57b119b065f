"""The environment variables of the system: one table of names, meanings, defaults, and where each value goes.

Everything is optional. What is secret (the address of Redis with its password) passes through the environment to
the replicas and is never written into a file. `docs/settings.md` is this table, checked by a test.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, field_validator

from deployments.definition import Settings
from deployments.nearest_name import nearest_of
from deployments.process.local_traffic import keep_local_traffic_direct
from deployments.process.state_folder import DEFAULT_STATE_FOLDER, default_state_folder
from deployments.weights.settings import DEFAULT_FOLDER, plain_address
from serve_app.launcher.console import LaunchError
from serve_app.launcher.processes.log_file import DEFAULT_MAX_BYTES

PREFIX = "FATHOM_"


class SystemSettings(Settings):
    """What FATHOM_... variables say: the field `http_port` is the variable FATHOM_HTTP_PORT. None: not set."""

    http_host: str | None = Field(default=None, min_length=1)
    """Address that the HTTP door listens on."""

    http_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the HTTP door."""

    http_connections_per_client: int | None = Field(default=None, ge=1)
    """Connections that one client address (of IPv6, one /64) may hold; a quarter of all, which are 4096 where the
    limit of open files allows it, when not set. Raise it for a proxy of your own in front."""

    http_header_patience_s: float = Field(default=10.0, ge=0.1, le=60)
    """Seconds within which the head of an HTTP request must have come."""

    dashboard_host: str = Field(default="127.0.0.1", min_length=1)
    """Address that the Ray dashboard listens on. Whoever has it and the token can run code."""

    dashboard_port: int = Field(default=8265, ge=1, le=65535)
    """Port of the Ray dashboard, through which `make deploy`, `add`, `remove` and `status` work."""

    redis_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the embedded Valkey."""

    num_gpus: float | None = Field(default=None, ge=0)
    """Share of a GPU that every replica of every model takes: 0, a part such as 0.25, or whole GPUs."""

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
    """Size of `serve.log` in bytes from which it begins anew; the lines until then become `serve.log.1`."""

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
        """Ray's dashboard listens on 127.0.0.1 when it is told the other loopback address."""
        return "127.0.0.1" if value == "::1" else value

    @field_validator("data_dir", "ray_temp_dir")
    @classmethod
    def _path_is_readable(cls, value: Path | None) -> Path | None:
        # Valkey tells its path in lines of text, and Ray hands paths on in command lines.
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
        problems = [_unknown(name, list(names)) for name in given if name not in names]
        values = {names[name]: value for name, value in given.items() if name in names}
        values.setdefault("data_dir", str(default_state_folder(environ)))
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            problems += [
                f"{variable_name(str(detail['loc'][0]))}: {detail['msg']} (got {detail['input']!r})"
                for detail in error.errors(include_url=False)
            ]
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


@dataclass(frozen=True, slots=True)
class Variable:
    """One row of the table. default: '' when there is none.  goes_to: who reads the value in the end."""

    name: str
    meaning: str
    default: str
    goes_to: str


_WEIGHTS = "models, doors, `python -m deployments.weights`"

_GOES_TO = {
    "http_host": "`http_options.host`",
    "http_port": "`http_options.port`",
    "http_connections_per_client": "HAProxy",
    "http_header_patience_s": "HAProxy",
    "redis_port": "`args.port` of the embedded Valkey",
    "num_gpus": "`ray_actor_options.num_gpus` of every model",
    "data_dir": "launcher, embedded Valkey",
    "weights_dir": _WEIGHTS,
    "weights_offline": _WEIGHTS,
    "weights_mirror": "models, `python -m deployments.weights`",
    "dashboard_host": "Ray",
    "dashboard_port": "Ray",
    "ray_temp_dir": "Ray",
}

_IN_YAML = {"http_host", "http_port", "redis_port", "num_gpus"}

REDIS_URL = Variable(
    "REDIS_URL",
    "Address of a real Redis, such as `redis://:password@host:6379/0`; the embedded Valkey is not started then. "
    "A secret: never written to a file or shown.",
    "",
    "the bridge",
)

RAY_DEFAULTS = (
    Variable(
        "RAY_AUTH_MODE",
        "`token`: every call to Ray carries the token of `RAY_AUTH_TOKEN`, `RAY_AUTH_TOKEN_PATH` or "
        "`~/.ray/auth_token`, which is made when there is none. `disabled`: whoever reaches this machine over the "
        "network can run code on it, as replicas always listen on every address.",
        "token",
        "Ray, and the commands that talk to it",
    ),
    Variable(
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",
        "`0` is Ray's own switch (on every platform, despite its name) for listening on this machine only.",
        "0",
        "Ray",
    ),
    Variable(
        "RAY_SERVE_ENABLE_HA_PROXY",
        "`1`: HAProxy, which comes with Ray, stands in front of the HTTP door. `0`: Ray's own proxy in Python, which "
        "costs more processor time than the door itself.",
        "1",
        "Ray Serve",
    ),
    Variable(
        "RAY_SERVE_THROUGHPUT_OPTIMIZED",
        "`1`: Ray Serve's switches for throughput (one event loop a replica, gRPC between replicas, buffered logs).",
        "1",
        "Ray Serve",
    ),
    Variable(
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
        "Seconds for which a replica that stops still answers new requests, until the proxy sends them elsewhere; "
        "raise it behind a load balancer of your own.",
        "1",
        "Ray Serve",
    ),
    Variable(
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S",
        "Seconds between two looks of Ray Serve at all replicas; some ticks of this clock are part of each change. "
        "Ray's own default of 0.1 costs 3 % of a core, always.",
        "0.25",
        "Ray Serve",
    ),
    Variable(
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S",
        "Seconds between two looks of Ray Serve at HAProxy; after three that fail it is replaced. With Ray's own "
        "default of 10, a system whose HAProxy has died is without a door for half a minute.",
        "1",
        "Ray Serve",
    ),
    Variable(
        "REPORTER_UPDATE_INTERVAL_MS",
        "Milliseconds between two looks of the Ray dashboard at this machine's processes; 5000 by Ray's default.",
        "15000",
        "Ray",
    ),
    Variable(
        "RAY_ROTATION_MAX_BYTES",
        "Size in bytes from which a log of Ray, Serve or a replica begins anew; 512 MiB by Ray's default.",
        str(64 * 2**20),
        "Ray",
    ),
    Variable("RAY_ROTATION_BACKUP_COUNT", "How many earlier files of each such log are kept.", "2", "Ray"),
    Variable("PYTHONUTF8", "`1`: files and terminals are UTF-8 whatever the locale says.", "1", "Python"),
    Variable("RAY_worker_niceness", "Niceness of replicas; Ray's own default of 15 starves them.", "0", "Ray"),
    Variable("RAY_USAGE_STATS_ENABLED", "Whether Ray reports its use to its makers.", "0", "Ray"),
    Variable("TF_CPP_MIN_LOG_LEVEL", "TensorFlow logs from this level on: 2 is errors.", "2", "TensorFlow"),
)

RAY_ADDRESS = Variable(
    "RAY_ADDRESS",
    "Joins this Ray cluster (`host:port`) instead of starting Ray; Ray's settings are then those of the cluster.",
    "",
    "Ray",
)


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


def joins_cluster(environ: Mapping[str, str]) -> bool:
    """Whether the system runs on a Ray that is there already; `local` is Ray's word for one of our own."""
    return environ.get(RAY_ADDRESS.name, "") not in ("", "local")


def for_ray(environ: Mapping[str, str]) -> dict[str, str]:
    """`environ` with the defaults for Ray filled in; a value that the user set wins.

    A cluster that is joined (RAY_ADDRESS) keeps its own ways of listening and of checking tokens.
    """
    defaults = {variable.name: variable.default for variable in RAY_DEFAULTS}
    if joins_cluster(environ):
        del defaults["RAY_AUTH_MODE"], defaults["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"]
    # A terminal that cannot write a letter gets its number: Python's way is to end the program.
    encoding = environ.get("PYTHONIOENCODING", "").partition(":")[0] or "utf-8"
    speech = {"PYTHONIOENCODING": f"{encoding}:backslashreplace"}
    return {**defaults, **environ, **keep_local_traffic_direct(environ), **speech}


def variables() -> tuple[Variable, ...]:
    """Every documented variable, in the order of the table."""
    fields = SystemSettings.model_fields.items()
    own = tuple(
        Variable(
            variable_name(name),
            " ".join((field.description or "").split()),
            "as in the YAML" if name in _IN_YAML else _shown(field.default),
            _GOES_TO.get(name, "launcher"),
        )
        for name, field in fields
    )
    return (*own, REDIS_URL, RAY_ADDRESS, *RAY_DEFAULTS)


def settings_page() -> str:
    """The text of docs/settings.md."""
    rows = [
        f"| `{row.name}` | {row.meaning} | {f'`{row.default}`' if row.default else ''} | {row.goes_to} |"
        for row in variables()
    ]
    return "\n".join(
        [
            "# Environment variables",
            "",
            "All optional. A value in the environment wins over the configuration file. Set the same values for",
            "`make serve` and for `make deploy`. Under bare `serve run`, only `REDIS_URL`, `FATHOM_DATA_DIR` (for",
            "the embedded Valkey), `FATHOM_WEIGHTS_...` and Ray's own variables have an effect.",
            "Ports, proxies for the internet, folders and logs: [machine.md](machine.md).",
            "This page is made by `python -m serve_app.launch settings`; a test compares the two.",
            "",
            "| variable | meaning | default | goes to |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _unknown(name: str, known: list[str]) -> str:
    return f"{name}: unknown environment variable; {nearest_of(name, known)}"
