"""The command `node`: this machine as a node of a Ray cluster, with the same switches of Ray as `make serve` sets.

Replicas, proxies and Serve's controller read them from the environment in which their node was started, so that all
nodes must be started with the same ones.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from serve_app.launcher.configuration.env_settings import API_KEY, SystemSettings
from serve_app.launcher.configuration.ray_variables import for_ray
from serve_app.launcher.console import LaunchError
from serve_app.launcher.proxy import in_front
from serve_app.launcher.proxy.haproxy import ENABLED, NOBODY, TRUSTED
from serve_app.launcher.ray_token import ensure_token, has_token, token_help, uses_token

_LISTENS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"

_DIRECT = "RAY_SERVE_ENABLE_DIRECT_INGRESS"
"""With Ray's switch for throughput it is on, and without HAProxy only the head has a proxy then."""

_WITHOUT_HEAD_S = "RAY_gcs_rpc_server_reconnect_timeout_s"
"""For how long a node goes on serving without a head; by Ray's default it gives up after a minute."""


def run_node(head: str, options: Sequence[str], environ: Mapping[str, str]) -> NoReturn:
    """Becomes `ray start --block`, so that signals reach Ray itself; returns only by raising.

    head: `host:port` of the cluster's head; '' where this node is to be the head.
    options: further ones for `ray start`, such as `--node-ip-address=10.0.0.2`.
    Raises LaunchError when the token is missing, or Ray cannot be started.
    """
    settings = SystemSettings.from_environment(environ)
    variables = node_environment(environ)
    if head and uses_token(variables) and not has_token(variables):
        raise LaunchError(f"there is no token here; the head has one, in ~/.ray/auth_token; {token_help()}")
    ensure_token(variables)
    command = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--disable-usage-stats"]
    if head:
        command += ["--address", head]
    else:
        command += ["--head", "--dashboard-host", settings.dashboard_host]
        command += ["--dashboard-port", str(settings.dashboard_port)]
    if settings.ray_temp_dir is not None and not head:
        command += ["--temp-dir", str(settings.ray_temp_dir.absolute())]
    try:
        os.execve(command[0], [*command, *options], variables)
    except OSError as error:
        raise LaunchError(f"{command[0]}: cannot be started: {error.strerror}") from error


def node_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a node's processes.

    Ray's own proxy is on every node: HAProxy is set up for one machine, where only it reaches the replicas.
    """
    variables = {name: value for name, value in environ.items() if name not in ("RAY_ADDRESS", API_KEY)}
    ours = {
        ENABLED: "0",
        _DIRECT: "0",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": in_front.IMPORT_PATH,
        _LISTENS: "1",
        _WITHOUT_HEAD_S: "600",
        TRUSTED: environ.get("FATHOM_TRUSTED_PROXIES") or NOBODY,
    }
    # Jobs that look at the node are started as `python`.
    path = os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)])
    return for_ray({**ours, **variables, "PATH": path})
