"""Runs `fathom` in the test's process, or in one of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fathom_client.command.main import main

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Ended:
    """How a run of the command ended."""

    status: int
    out: str
    err: str


Fathom = Callable[..., Ended]


@pytest.fixture
def fathom(capfd: pytest.CaptureFixture[str]) -> Fathom:
    def run(*arguments: object) -> Ended:
        capfd.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse
            status = int(error.code or 0)
        out, err = capfd.readouterr()
        return Ended(status, out, err)

    return run


@pytest.fixture
def started() -> Callable[..., "subprocess.Popen[str]"]:
    def start(*arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "fathom_client", *(str(argument) for argument in arguments)]
        environ = {**os.environ, "PYTHONPATH": str(ROOT / "client")}
        return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start
