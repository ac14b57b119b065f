"""Processes that call themselves as Ray's, HAProxy's and Valkey's do, and do nothing."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager


def titled(name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """A process that shows as `name` with `arguments`, and waits for ever."""
    command = [name, "-c", "read forever", *arguments]
    return subprocess.Popen(command, executable="/bin/sh", stdin=subprocess.PIPE)


@contextmanager
def running(name: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A titled process for as long as the context lasts."""
    with titled(name, *arguments) as process:
        try:
            yield process
        finally:
            process.kill()
