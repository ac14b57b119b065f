"""What holds for every test: programs that tests start can be interrupted, and nothing waits for ever.

A test is ended by its timeout. A thread that it leaves behind may still hold up the end of the test or of the run,
and no timeout applies to that: then the process ends itself, with the stacks of all threads.
"""

import faulthandler
import os
import signal
from typing import IO

import pytest

END_S = 180.0
"""How long the end of a failed test, and that of a run, may take."""

TERMINAL = pytest.StashKey[IO[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """A run in a shell's background starts with SIGINT ignored, and whatever a test starts would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        config.stash[TERMINAL] = os.fdopen(os.dup(2), "w")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests of a file run one after the other, as they share its fixtures, unless they are of a larger group."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.hookimpl(trylast=True)  # pytest's own has just ended its limit, for those who debug
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Limits what follows a failure. pytest lifts the limit when the test is over."""
    if not node.config.getoption("usepdb"):
        faulthandler.dump_traceback_later(END_S, exit=True, file=node.config.stash[TERMINAL])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Limits what follows the last test."""
    faulthandler.dump_traceback_later(END_S, exit=True, file=config.stash[TERMINAL])
