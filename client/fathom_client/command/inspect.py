"""`fathom inspect`: handed over to the server's own command, where the server is installed beside the client."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys

from fathom_client.command.console import EXIT_FAILED, UsageError, say_error

SERVER = "serve_app"
"""The server's package. It is run as a program of its own, never imported."""

HOW = """fathom inspect: reading weights needs the server, which is not installed beside this client. In a checkout of
fathomnet-serve: make inspect FILE={file}"""


def inspect(chosen: argparse.Namespace) -> int:
    """The exit status of the server's command."""
    if sys.version_info < (3, 11) or importlib.util.find_spec(SERVER) is None:
        say_error(HOW.format(file=chosen.file))
        return EXIT_FAILED
    if chosen.file.startswith("-"):
        raise UsageError(f"{chosen.file}: write ./{chosen.file}")
    # -P: from where it is installed, and not from a folder of that name in which somebody happens to be.
    command = [sys.executable, "-P", "-m", f"{SERVER}.launch", "inspect", chosen.file]
    return subprocess.run(command, check=False).returncode
