"""The process from which workers are forked. Run as `python -m serve_app.launcher.fork_server.server SOCKET MODULES
LATER`: it imports MODULES before it forks, and LATER once no worker has been wanted for a while.

It ends when its standard input does, which the process that started it holds open, and leaves the workers alone.

What it imports must bear a fork: no threads, no random numbers drawn in C. So neither Ray nor gRPC is among it: Ray's
core draws identifiers from a generator that two forks would share, and two objects could get one name. Nor is our own
code, so that a worker runs what is on the disk when it starts.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import runpy
import select
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from serve_app.launcher.fork_server.start_worker import LIMITS

CALM_S = 5.0
"""So long no worker was wanted: the system has started, and has a core to spare."""

_REQUEST_TIMEOUT_S = 5.0
_MOST_REQUEST_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Start:
    """A worker to start: what its process takes over from the one that asked for it."""

    descriptors: tuple[int, ...]
    """Its standard input, output and error."""

    state: dict[str, Any]
    """As `start_worker.own_state` gives it, with `arguments`."""


def main(arguments: Sequence[str]) -> None:
    """Returns in the server when its time is over; in each worker, runs what was asked for."""
    address, modules, later = arguments
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(128)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no worker that has ended stays behind as a zombie
    _import(modules)
    if (start := _next_worker(listener, later)) is not None:
        become(start)


def _import(modules: str) -> None:
    for name in filter(None, modules.split(",")):
        importlib.import_module(name)
    # Collections in a worker need not look at, and so copy, what it shares with all others.
    gc.collect()
    gc.freeze()


def become(start: Start) -> None:
    """Makes this process the worker of `start`."""
    for target, descriptor in enumerate(start.descriptors):
        os.dup2(descriptor, target)
        os.close(descriptor)
    state = start.state
    os.environ.clear()
    os.environ.update(state["environment"])
    os.chdir(state["folder"])
    os.setpriority(os.PRIO_PROCESS, 0, state["niceness"])
    for limit, values in zip(LIMITS, state["limits"], strict=True):
        resource.setrlimit(limit, tuple(values))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number in state["ignored"]:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, state["blocked"])
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()  # Python's own generator does so by itself after a fork
    script, *_ = sys.argv = state["arguments"]
    sys.path[0] = os.path.dirname(script)
    runpy.run_path(script, run_name="__main__")


def _next_worker(listener: socket.socket, later: str) -> Start | None:
    """Forks workers until standard input ends. Returns in each worker what it has to be, in the server None."""
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [], CALM_S if later else None)
        if sys.stdin in ready:
            return None
        if not ready:
            _import(later)
            later = ""
            continue
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            start = _received(connection)
            worker_pid = os.fork()
            if worker_pid == 0:
                listener.close()
                return start
            # The raylet ends what a worker has left behind by its group.
            with contextlib.suppress(OSError):
                os.setpgid(worker_pid, start.state["group"])
            for descriptor in start.descriptors:
                os.close(descriptor)
            connection.sendall(b"+")


def _received(connection: socket.socket) -> Start:
    connection.settimeout(_REQUEST_TIMEOUT_S)
    size, descriptors, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as stream:
        request = stream.read(min(int.from_bytes(size, "big"), _MOST_REQUEST_BYTES))
    return Start(tuple(descriptors), json.loads(request))


if __name__ == "__main__":
    main(sys.argv[1:])
