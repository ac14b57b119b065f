"""Runs the fork server beside Ray, and has Ray start its workers through it."""

import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from serve_app.launcher.fork_server import start_worker
from serve_app.launcher.processes.scratch_folder import scratch_folder, short_folder

SERVER = "serve_app.launcher.fork_server.server"

_PYTHON = """#!/bin/sh
exec {python} -I -S {start_worker} {socket} {python} "$@"
"""


@contextmanager
def python_for_ray(environ: Mapping[str, str], first: str, later: str = "") -> Iterator[Path]:
    """A program for Ray to start its processes with in place of `sys.executable`, whose workers share modules.

    first, later: names with commas between them, see `Libraries`. Raises OSError when there is no place for it.
    """
    python = sys.executable
    with scratch_folder(short_folder(environ)) as folder:
        address = folder / "workers.sock"
        program = folder / "python"
        words = {"python": python, "start_worker": start_worker.__file__, "socket": str(address)}
        program.write_text(_PYTHON.format(**{name: shlex.quote(word) for name, word in words.items()}))
        program.chmod(0o700)
        # Like Ray's workers, which get one thread for what a library computes unless an actor asks for more.
        variables = {**environ, "OMP_NUM_THREADS": "1"}
        command = [python, "-m", SERVER, str(address), first, later]
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=variables) as server:
            try:
                yield program
            finally:
                if server.stdin is not None:
                    server.stdin.close()
