"""What keeps traffic between the processes of a system away from a proxy that the environment names.

Calls between replicas go by gRPC, which asks `http_proxy` for a way even to 127.0.0.1. What is fetched from the
internet, weights that is, still goes through the proxy.
"""

import socket
from collections.abc import Mapping

import psutil

NO_GRPC_PROXY = "no_grpc_proxy"
NO_PROXY = ("no_proxy", "NO_PROXY")
_EVERY_ADDRESS = ("0.0.0.0/0", "::/0")
"""gRPC is used between replicas only, which know each other by their addresses (CIDR: gRPC 1.60 and later)."""
_LOCAL = ("localhost", "127.0.0.1", "::1", "169.254.169.254", "metadata.google.internal")
"""The last two are what Ray asks at its start whether this machine is a cloud's."""


def keep_local_traffic_direct(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set beside those of `environ`, whose own exceptions are kept. Must be in place before the
    first gRPC channel is made."""
    exceptions = next((environ[name] for name in NO_PROXY if environ.get(name)), "")
    variables = {NO_GRPC_PROXY: _joined(environ.get(NO_GRPC_PROXY) or exceptions, _EVERY_ADDRESS)}
    # A lone * excepts everything; beside others it would be read as a name.
    if exceptions.strip() != "*":
        local = _joined(exceptions, (*_LOCAL, *_own_names()))
        variables |= dict.fromkeys(NO_PROXY, local)
    return variables


def _joined(given: str, wanted: tuple[str, ...]) -> str:
    entries = [entry.strip() for entry in given.split(",") if entry.strip()]
    return ",".join(dict.fromkeys([*entries, *wanted]))


def _own_names() -> list[str]:
    families = (socket.AF_INET, socket.AF_INET6)
    addresses = [one for all_of in psutil.net_if_addrs().values() for one in all_of if one.family in families]
    # A link-local address has its interface behind a %, which no reader of the variable knows.
    return [socket.gethostname(), *(one.address for one in addresses if "%" not in one.address)]
