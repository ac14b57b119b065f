"""Processes that call themselves as Ray's, HAProxy's and Valkey's do, and do nothing."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


def titled(name: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """A process that shows as `name` with `arguments`, and waits for ever."""
    command = [name, "-c", "read forever", *arguments]
    process = subprocess.Popen(command, executable="/bin/sh", stdin=subprocess.PIPE)
    # Popen returns when the program is found, a moment before the process shows its command line.
    while process.poll() is None and psutil.Process(process.pid).cmdline() != command:
        pass
    return process


@contextmanager
def running(name: str, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A titled process for as long as the context lasts."""
    with titled(name, *arguments) as process:
        try:
            yield process
        finally:
            process.kill()
