"""How the launcher's settings reach the replicas of a cluster that is joined, whose processes have the environment of
their node and not the launcher's.

What is no secret travels in each application's `runtime_env.env_vars`, which Ray shows: in the dashboard, by
`serve status` and in its logs. An address of Redis with a password does not: every node has it in its environment.
What a file of the launcher's machine says (`labels_file`) travels as the value itself.
"""

import copy
from collections.abc import Mapping
from typing import Any

from deployments.classes.labels import read_labels
from deployments.definition import MODEL_IMPORT_PATH
from serve_app.launcher.configuration.env_overrides import DOOR_IMPORT_PATH
from serve_app.launcher.configuration.ray_variables import REDIS_URL

Document = dict[str, Any]

_PASSED_ON = (
    "FATHOM_WEIGHTS_DIR",
    "FATHOM_WEIGHTS_OFFLINE",
    "FATHOM_WEIGHTS_MIRROR",
    "TF_CPP_MIN_LOG_LEVEL",
    "PYTHONUTF8",
    "FATHOM_LOG_REQUESTS",
    "FATHOM_TRACE_SHARE",
    "FATHOM_API_KEYS_FILE",  # its place; each node with a door has the file there
    "OTEL_EXPORTER_OTLP_ENDPOINT",  # its headers may be secret, and are not
)

_FOR_CHANGES = (
    "RAY_ADDRESS",
    "FATHOM_DASHBOARD_HOST",
    "FATHOM_DASHBOARD_PORT",
    "FATHOM_NUM_GPUS",
    "FATHOM_MAX_REPLICAS",
)
"""What a door needs beside it, that adds and removes models for whoever has a key with the scope `admin`."""


def is_secret(redis_url: str) -> bool:
    """Whether the address may hold a password, and so must not be shown."""
    return "@" in redis_url or "password" in redis_url.lower()


def passed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environ` that replicas read and that may be shown."""
    variables = {name: environ[name] for name in _PASSED_ON if environ.get(name)}
    url = environ.get(REDIS_URL.name, "")
    return variables if not url or is_secret(url) else {**variables, REDIS_URL.name: url}


def with_settings(document: Document, environ: Mapping[str, str]) -> Document:
    """A copy of `document` whose applications carry what the launcher's environment and its files say."""
    result = copy.deepcopy(document)
    for application in result["applications"]:
        runtime_env = application.setdefault("runtime_env", {})
        runtime_env["env_vars"] = {**runtime_env.get("env_vars", {}), **passed_on(environ)}
        if application.get("import_path") == DOOR_IMPORT_PATH and environ.get("FATHOM_API_KEYS_FILE"):
            needed = {name: environ[name] for name in _FOR_CHANGES if environ.get(name)}
            runtime_env["env_vars"] |= needed
        args = application.get("args", {})
        if application.get("import_path") == MODEL_IMPORT_PATH and args.get("labels_file"):
            args["labels"] = list(read_labels(args.pop("labels_file")))
    return result
