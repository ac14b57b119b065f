"""No process stays behind: everything that a child started, however deep and whatever its session, ends with it.

Linux only. Functions that reap wait for ANY orphan, so nothing else in the process may start children and wait for
them at the same time.
"""

import ctypes
import os
import signal
from collections.abc import Callable

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on, a descendant whose parent dies becomes a child of this process, even one in a session of its
    own (prctl PR_SET_CHILD_SUBREAPER, Linux 3.4)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def stop_with_parent(parent_pid: int) -> None:
    """This process gets SIGINT when its parent, `parent_pid`, dies in whatever way (prctl PR_SET_PDEATHSIG).

    It may get several: one for each thread of the parent that it is handed to on the way (`forget_original_parent` in
    kernel/exit.c). The handler must take the first one only.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGINT)


def reap_orphans(besides_pid: int) -> None:
    """Takes the exit status of adopted processes that have ended, all but `besides_pid`.

    Otherwise they would stay visible as zombies, and look alive to anything that watches their process id.
    """
    for child in psutil.Process().children():
        try:
            if child.pid != besides_pid and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue


def end_descendants(grace_s: float, saving: str = "", saving_grace_s: float = 60.0) -> list[str]:
    """Ends every descendant that is left: waits, then SIGTERM, waits, then SIGKILL, `grace_s` each time.

    saving: name of a program that saves its data on SIGTERM: it gets the signal after all others, when nothing uses
    it any more, and has `saving_grace_s`.
    Returns the names of those that did not end by themselves.
    """
    ended: list[str] = []
    psutil.wait_procs(psutil.Process().children(recursive=True), timeout=grace_s)
    ended += _end(lambda name: name != saving, grace_s, grace_s)
    ended += _end(lambda name: True, saving_grace_s if saving else grace_s, grace_s)
    return ended


def lives(process: psutil.Process) -> bool:
    """Whether the process has not ended; a zombie has."""
    try:
        return process.is_running() and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _end(is_meant: Callable[[str], bool], grace_s: float, last_grace_s: float) -> list[str]:
    ended: list[str] = []
    for order, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, last_grace_s)):
        left = {process: name for process in _living_descendants() if is_meant(name := _name(process))}
        ended += [name for name in left.values() if order == signal.SIGTERM]
        for process in left:
            _send(process, order)
        # psutil also reaps those among them that are children of this process.
        psutil.wait_procs(left, timeout=wait_s)
    return ended


def _living_descendants() -> list[psutil.Process]:
    reap_orphans(besides_pid=0)
    return [process for process in psutil.Process().children(recursive=True) if lives(process)]


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return "a process that has ended since"


def _send(process: psutil.Process, order: signal.Signals) -> None:
    try:
        process.send_signal(order)
    except psutil.NoSuchProcess:
        return


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
