"""Checks, before anything starts, which ports are free."""

import errno
import random
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

QUIET_PORTS = range(20000, 30000)
"""Below those that the kernel gives to connections (from 32768 on) and Ray Serve to replicas (from 30000): such a
port may be taken between the check and the use."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A port that the system will listen on."""

    setting: str
    """The name by which a user changes it."""

    host: str
    port: int


def free_ports(count: int) -> list[int]:
    """`count` different ports of 127.0.0.1, of QUIET_PORTS, that are free. Raises OSError when there are fewer."""
    found: list[int] = []
    for port in random.sample(QUIET_PORTS, len(QUIET_PORTS)):
        if len(found) == count:
            break
        if _reason_unusable(Listener("", "127.0.0.1", port)) is None:
            found.append(port)
    if len(found) < count:
        raise OSError(errno.EADDRINUSE, f"no {count} free ports from {QUIET_PORTS[0]} to {QUIET_PORTS[-1]}")
    return found


def port_problems(listeners: Iterable[Listener]) -> list[str]:
    """One line for each listener whose port is taken, cannot be used, or is wanted twice."""
    problems: list[str] = []
    wanted: dict[int, str] = {}
    for listener in listeners:
        other = wanted.setdefault(listener.port, listener.setting)
        if other != listener.setting:
            problems.append(f"port {listener.port} is wanted by both {other} and {listener.setting}")
            continue
        reason = _reason_unusable(listener)
        if reason is not None:
            problems.append(
                f"port {listener.port} ({listener.setting}) {reason}; set {listener.setting} to a free port"
            )
    return problems


def _reason_unusable(listener: Listener) -> str | None:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Connections of an earlier run that linger in TIME_WAIT do not count, listening sockets do.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.host, listener.port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"is taken by {_holder(listener.port)}"
            return f"cannot be used on {listener.host}: {error.strerror or error}"
        except UnicodeError:
            return f"cannot be used on {listener.host!r}: this is not the name of a machine"
    return None


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections(kind="tcp")
    except psutil.Error:
        connections = []
    for connection in connections:
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,)
        if listens and connection.pid is not None:
            try:
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
            except psutil.Error:
                break
    return "a process of another user"
