"""Environment variables of others that the system sets or reads: of Ray, Python, TensorFlow and OpenTelemetry, and
Redis's address.

What is secret (the address of Redis with its password) passes through the environment to the replicas and is never
written into a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from deployments.process.local_traffic import keep_local_traffic_direct


@dataclass(frozen=True, slots=True)
class Variable:
    """One row of docs/settings.md."""

    name: str

    meaning: str

    default: str
    """'' when there is none."""

    goes_to: str
    """Who reads the value in the end."""


REDIS_URL = Variable(
    "REDIS_URL",
    "Address of a real Redis, such as `redis://:password@host:6379/0`; the embedded Valkey is not started then. "
    "With a user or a password it is a secret: never written to a file or shown.",
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
        "`1`: Ray Serve's switches for throughput (one event loop per replica, gRPC between them, buffered logs).",
        "1",
        "Ray Serve",
    ),
    Variable(
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
        "Seconds for which a stopping replica still answers new requests, until the proxy sends them elsewhere; "
        "raise it behind a load balancer of your own.",
        "1",
        "Ray Serve",
    ),
    Variable(
        "RAY_SERVE_CONTROL_LOOP_INTERVAL_S",
        "Seconds between two checks of all replicas by Ray Serve; every change takes a few of them. "
        "Ray's own default of 0.1 always costs 3 % of a core.",
        "0.25",
        "Ray Serve",
    ),
    Variable(
        "RAY_SERVE_REPLICA_AUTOSCALING_METRIC_PUSH_INTERVAL_S",
        "Seconds between two reports of a replica to Ray Serve's autoscaling: how much it has to do, and since when "
        "it is idle. 10 by Ray's default.",
        "3",
        "Ray Serve",
    ),
    Variable(
        "RAY_SERVE_AUTOSCALING_METRIC_RECORD_INTERVAL_FACTOR",
        "Part of a model's `look_back_period_s` (30 s by default) between two points of such a report. 0.2 by Ray's "
        "default.",
        "0.1",
        "Ray Serve",
    ),
    Variable(
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S",
        "Seconds between two checks of HAProxy by Ray Serve; after three failed ones it is replaced. With Ray's own "
        "default of 10, a system whose HAProxy has died is without a door for half a minute.",
        "1",
        "Ray Serve",
    ),
    Variable(
        "REPORTER_UPDATE_INTERVAL_MS",
        "Milliseconds between two checks of this machine's processes by the Ray dashboard; 5000 by Ray's default.",
        "15000",
        "Ray",
    ),
    Variable(
        "RAY_ROTATION_MAX_BYTES",
        "Size in bytes at which a log of Ray, Serve or a replica is rotated; 512 MiB by Ray's default.",
        str(64 * 2**20),
        "Ray",
    ),
    Variable("RAY_ROTATION_BACKUP_COUNT", "Number of earlier files of each such log that are kept.", "2", "Ray"),
    Variable("PYTHONUTF8", "`1`: files and terminals are UTF-8 whatever the locale says.", "1", "Python"),
    Variable("RAY_worker_niceness", "Niceness of replicas; Ray's own default of 15 starves them.", "0", "Ray"),
    Variable("RAY_USAGE_STATS_ENABLED", "Whether Ray reports usage statistics to its makers.", "0", "Ray"),
    Variable("TF_CPP_MIN_LOG_LEVEL", "TensorFlow logs from this level on: 2 is errors.", "2", "TensorFlow"),
)

RAY_ADDRESS = Variable(
    "RAY_ADDRESS",
    "Joins this Ray cluster (`host:port`) instead of starting Ray; Ray's settings are then those of its nodes: "
    "[operating.md](operating.md#a-cluster).",
    "",
    "Ray",
)


OTEL = (
    Variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "Collector that takes traces by OTLP over HTTP, while `FATHOM_TRACE_SHARE` is above 0. The other standard "
        "variables of OpenTelemetry (`OTEL_EXPORTER_OTLP_HEADERS`, `..._CERTIFICATE`) count, too.",
        "http://localhost:4318",
        "doors, models",
    ),
)


def joins_cluster(environ: Mapping[str, str]) -> bool:
    """Whether the system runs on a Ray that is there already; `local` is Ray's word for one of our own."""
    return environ.get(RAY_ADDRESS.name, "") not in ("", "local")


def cluster_host(environ: Mapping[str, str]) -> str:
    """The host of the cluster's head, where it is another machine; '' where there is none, or it is this one."""
    address = environ.get(RAY_ADDRESS.name, "")
    host = address.rpartition(":")[0].strip("[]")
    here = {one.address for card in psutil.net_if_addrs().values() for one in card}
    return "" if not joins_cluster(environ) or host in here | {"localhost"} else host


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
