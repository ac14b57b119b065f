"""What holds for every test: programs that tests start can be interrupted, and nothing waits for ever.

A test is ended by its timeout. A thread that it leaves behind may still hold up the end of the test or of the run,
and no timeout applies to that: then the process ends itself, with the stacks of all threads.
"""

import faulthandler
import os
import signal
from typing import IO, Any

import pytest

END_S = 180.0
"""How long the end of a failed test, and that of a run, may take."""

IN_ONE_PROCESS = {
    "the nodes": ("tests/cluster/",),
    "the running system": tuple(
        f"tests/system/test_{name}.py"
        for name in (
            "both_doors",
            "changes",
            "chaos",
            "external_workers",
            "families",
            "fathomnet_zoo",
            "published_checkpoints",
            "readme",
            "tiling",
        )
    ),
}
"""Folders and files whose tests share what a machine has once, such as the bridge between the nodes of a cluster, or
what takes half a minute to start."""

TERMINAL = pytest.StashKey[IO[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """A run in a shell's background starts with SIGINT ignored, and whatever a test starts would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with config.pluginmanager.get_plugin("capturemanager").global_and_fixture_disabled():
        config.stash[TERMINAL] = os.fdopen(os.dup(2), "w")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Where several processes run tests, those of a file run in one of them, as they share its fixtures; so do those
    of each row of IN_ONE_PROCESS. (The marker `xdist_group` of pytest-xdist 3.8 has no effect with pytest 9.)"""
    if config.getoption("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByFileOrRow(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = str(super()._split_scope(nodeid))
            return next((row for row, starts in IN_ONE_PROCESS.items() if file.startswith(starts)), file)

    return ByFileOrRow(config, log)


@pytest.hookimpl(trylast=True)  # pytest's own has just ended its limit, for those who debug
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """Limits what follows a failure. pytest lifts the limit when the test is over."""
    if not node.config.getoption("usepdb"):
        faulthandler.dump_traceback_later(END_S, exit=True, file=node.config.stash[TERMINAL])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Limits what follows the last test."""
    faulthandler.dump_traceback_later(END_S, exit=True, file=config.stash[TERMINAL])
