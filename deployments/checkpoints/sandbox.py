"""A child process that reads a file first, with limits of time and memory, before this process opens it.

The HDF5 library is no match for a hostile file: damaged ones have kept it busy without end, and its history has files
that crash it. What such a file does to the child costs nothing here.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from deployments.errors import ModelUnavailable
from deployments.text.error_text import last_line

TIME_LIMIT_S = 60.0
MEMORY_LIMIT_BYTES = 4 * 2**30

_REPOSITORY = Path(__file__).resolve().parents[2]
_PROGRAM = "import sys; sys.path[:] = sys.argv[4:]; from deployments.checkpoints import sandbox; sandbox.main()"

_REFUSED = 3
"""The exit status of a child that refuses the file; the reason is on its standard output."""


@dataclass(frozen=True, slots=True)
class FileReader:
    """What the child runs."""

    function: str
    """ "module:function". It takes the file's path and raises ModelUnavailable for a file that it refuses. The child
    starts anew and imports the module, so that one should import neither Keras nor TensorFlow."""

    copies_in_memory: int = 0
    """How many times the file's size the child may hold on top of `MEMORY_LIMIT_BYTES`."""


def try_in_child(reader: FileReader, path: Path, time_limit_s: float = TIME_LIMIT_S) -> None:
    """Let a child read the file at `path`.

    Raises ModelUnavailable for what the reader refuses, and when the child dies or takes longer than the limit.
    """
    folders = [str(_REPOSITORY), *filter(None, sys.path)]
    arguments = [str(path), reader.function, str(reader.copies_in_memory), *folders]
    run_child([sys.executable, "-I", "-c", _PROGRAM, *arguments], path.name, time_limit_s)


def run_child(command: Sequence[str], name: str, time_limit_s: float) -> None:
    """Run the child that reads the file `name`. Raises ModelUnavailable unless it ends well and in time."""
    try:
        child = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=time_limit_s, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelUnavailable(
            f"{name}: reading it takes longer than {time_limit_s:g} s; the HDF5 file is damaged, or the machine "
            "is overloaded"
        ) from error
    if child.returncode == _REFUSED:
        raise ModelUnavailable(child.stdout.decode(errors="replace"))
    if child.returncode != 0:
        last = last_line(child.stderr.decode(errors="replace"))
        raise ModelUnavailable(f"{name}: reading it ends a process with status {child.returncode}: {last}")


def main() -> None:
    """The child. Its arguments are the path, the reader's function and copies, and the folders of `sys.path`."""
    path = Path(sys.argv[1])
    module, _, name = sys.argv[2].partition(":")
    read = getattr(import_module(module), name)
    try:
        import resource

        limit_bytes = MEMORY_LIMIT_BYTES + int(sys.argv[3]) * path.stat().st_size
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    except ImportError:
        # Windows has no such limit; there the limit of time must do.
        pass
    try:
        read(path)
    except ModelUnavailable as error:
        sys.stdout.buffer.write(error.message.encode())
        sys.exit(_REFUSED)
