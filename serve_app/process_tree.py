"""No process stays behind: everything that a child started, however deep and whatever its session, ends with it.

Linux only. Knows processes; nothing of Ray. Functions that reap wait for ANY orphan, so nothing else in the
process may start children and wait for them at the same time.
"""

import ctypes
import os
import signal

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """From now on, a descendant whose parent dies becomes a child of this process, even one in a session of its
    own (prctl PR_SET_CHILD_SUBREAPER, Linux 3.4)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def stop_with_parent(parent_pid: int) -> None:
    """This process gets SIGINT when its parent, `parent_pid`, dies in whatever way (prctl PR_SET_PDEATHSIG)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGINT)


def reap_orphans(besides_pid: int) -> None:
    """Takes the exit status of adopted processes that have ended, all but `besides_pid`.

    Without it they would stay visible as zombies, and whoever watches their process id would think they live.
    """
    for child in psutil.Process().children():
        try:
            if child.pid != besides_pid and child.status() == psutil.STATUS_ZOMBIE:
                os.waitpid(child.pid, os.WNOHANG)
        except (psutil.NoSuchProcess, ChildProcessError):
            continue


def end_descendants(patience_s: float) -> list[str]:
    """Ends every descendant that is left: waits, then SIGTERM, waits, then SIGKILL, `patience_s` each time.

    Returns the names of those that had to be told to end.
    """
    told: list[str] = []
    _wait_for_descendants(patience_s)
    for order in (signal.SIGTERM, signal.SIGKILL):
        left = _living_descendants()
        told += [_name(process) for process in left if order == signal.SIGTERM]
        for process in left:
            _send(process, order)
        _wait_for_descendants(patience_s)
    return told


def _wait_for_descendants(patience_s: float) -> None:
    # psutil also reaps those among them that are children of this process.
    psutil.wait_procs(psutil.Process().children(recursive=True), timeout=patience_s)


def _living_descendants() -> list[psutil.Process]:
    reap_orphans(besides_pid=0)
    return [process for process in psutil.Process().children(recursive=True) if _lives(process)]


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


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
