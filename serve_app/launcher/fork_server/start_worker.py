"""Stands in for the Python with which Ray starts its processes: has a worker forked where that can be done.

Run as `python -I -S start_worker.py SOCKET PYTHON ARGUMENTS`, where `PYTHON ARGUMENTS` is the command that Ray meant
to run. Needs the standard library only, as it runs at every start of a worker.
"""

import contextlib
import json
import os
import resource
import signal
import socket
import sys
from typing import Any

_WORKER = "default_worker.py"
"""What Ray runs for a worker without a runtime environment. One with goes another way, by `setup_worker.py`."""

LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)
"""The limits that a worker takes over from the process that Ray started."""


def main(arguments: list[str]) -> None:
    """Ends once the worker has been forked, or becomes the command."""
    address, *command = arguments
    _, script, *_ = command
    if os.path.basename(script) != _WORKER or not _has_forked(address, command[1:]):
        os.execv(command[0], command)


def own_state() -> dict[str, Any]:
    """What a process inherits from the one that starts it, as far as Ray relies on it."""
    return {
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "group": os.getpgid(0),
        "ignored": [number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "niceness": os.getpriority(os.PRIO_PROCESS, 0),
        "limits": [resource.getrlimit(limit) for limit in LIMITS],
    }


def _has_forked(address: str, arguments: list[str]) -> bool:
    request = json.dumps({"arguments": arguments, **own_state()}).encode()
    # No timeout: a server that is still importing forks all the same, and two workers would have one identity.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as server:
        server.connect(address)
        socket.send_fds(server, [len(request).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(request)
        return server.recv(1) == b"+"
    return False


if __name__ == "__main__":
    main(sys.argv[1:])
