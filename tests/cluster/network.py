"""Machines that are none: network namespaces on a bridge, each with an address, a process tree and shared memory of
its own. Needs root and Linux, and changes nothing else of the machine that it runs on.
"""

import contextlib
import functools
import os
import subprocess
from collections.abc import Iterator, Sequence

BRIDGE = "fathom-bed"
CARD = "fathom-"
"""What the names of the machines' cards begin with."""

GATEWAY = "10.199.77.1"
"""The address of this machine, on which the nodes reach it."""

_ENTER = (
    "mount --make-rprivate / && mkdir -p /tmp/ray && mount -t tmpfs tmpfs /tmp/ray "
    '&& mount -t tmpfs -o size=1g tmpfs /dev/shm && exec "$@"'
)


@functools.cache
def are_allowed() -> bool:
    """Whether network namespaces can be made here; tried once, under names of this process, as others try too."""
    space, card = f"fathom-probe-{os.getpid()}", f"fp{os.getpid()}"
    try:
        _ip("netns", "add", space)
        _ip("link", "add", card, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "add", f"{card}-b", "type", "bridge")
    except (OSError, subprocess.SubprocessError):
        return False
    else:
        return True
    finally:
        _run("ip", "link", "delete", card)
        _run("ip", "link", "delete", f"{card}-b")
        _run("ip", "netns", "delete", space)


@contextlib.contextmanager
def bridge() -> Iterator[None]:
    """The network of the nodes; what a run that was killed has left of it is removed first. Raises RuntimeError where
    another one is in use."""
    if any(_run("ip", "netns", "pids", name).strip() for name in _spaces()):
        raise RuntimeError(f"another cluster runs on the bridge {BRIDGE} of this machine")
    remove()
    try:
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{GATEWAY}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")
        yield
    finally:
        remove()


def remove() -> None:
    """Removes the bridge and all machines."""
    for name in _spaces():
        _run("ip", "netns", "delete", name)
    # The kernel takes its time with a namespace, and the card in it keeps its name so long.
    for line in _run("ip", "-oneline", "link", "show", "type", "veth").splitlines():
        card = line.split()[1].partition("@")[0]
        if card.startswith(CARD):
            _run("ip", "link", "delete", card)
    _run("ip", "link", "delete", BRIDGE)


@contextlib.contextmanager
def machine(name: str, number: int) -> Iterator[str]:
    """A machine on the bridge; its address."""
    space, card = f"{BRIDGE}-{name}", f"{CARD}{number}"
    address = f"{GATEWAY.rpartition('.')[0]}.{number}"
    _ip("netns", "add", space)
    try:
        _ip("link", "add", card, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", card, "master", BRIDGE, "up")
        _ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")
        yield address
    finally:
        _run("ip", "netns", "delete", space)


def inside(name: str, command: Sequence[str]) -> list[str]:
    """The command line that runs `command` on a machine. Killing its process kills everything that it started there,
    as when the power goes."""
    # What is left of the nodes ends with whoever started them.
    enter = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "ip",
        "netns",
        "exec",
        f"{BRIDGE}-{name}",
        "unshare",
        "-m",
        "-p",
        "-f",
        "-i",
        "--mount-proc",
    ]
    return [*enter, "--kill-child", "sh", "-c", _ENTER, "machine", *command]


def _spaces() -> list[str]:
    listed = _run("ip", "netns", "list")
    return [line.split()[0] for line in listed.splitlines() if line.startswith(f"{BRIDGE}-")]


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _ip(*words: str) -> None:
    if os.geteuid() != 0:
        raise PermissionError("network namespaces need root")
    subprocess.run(["ip", *words], check=True, capture_output=True)
