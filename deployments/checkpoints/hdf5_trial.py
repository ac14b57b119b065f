"""Reads an HDF5 file in a process of its own first, since the HDF5 library is no match for a file that means harm.

Damaged files have been seen to keep the library busy for ever, and its history knows files that crash it. So the
walk through a file is done once in a child with limits of time and memory; only what it survives is opened here.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deployments.checkpoints.hdf5 import KerasFile
from deployments.errors import ModelUnavailable

TIME_LIMIT_S = 60.0
MEMORY_LIMIT_BYTES = 4 * 2**30

_REPOSITORY = Path(__file__).resolve().parents[2]
_REFUSED = 3
_PROGRAM = "import sys; sys.path[:] = sys.argv[2:]; from deployments.checkpoints import hdf5_trial; hdf5_trial.main()"


def open_tried(path: Path, time_limit_s: float = TIME_LIMIT_S) -> KerasFile:
    """Open a file of Keras 2 after a child has read all of it but the numbers.

    Raises ModelUnavailable for what `KerasFile` refuses, and when the child dies or takes longer than the limit.
    """
    folders = [str(_REPOSITORY), *filter(None, sys.path)]
    run_trial([sys.executable, "-I", "-c", _PROGRAM, str(path), *folders], path.name, time_limit_s)
    return KerasFile(path)


def run_trial(command: Sequence[str], name: str, time_limit_s: float) -> None:
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
        last = child.stderr.decode(errors="replace").strip().rpartition("\n")[2][:200]
        raise ModelUnavailable(f"{name}: reading it ends a process with status {child.returncode}: {last}")


def main() -> None:
    """The child: the first argument is the path; its refusal goes to stdout."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    except ImportError:
        # Not on Windows, where the limit of time must do.
        pass
    try:
        with KerasFile(Path(sys.argv[1])) as file:
            file.layers()
            file.description()
    except ModelUnavailable as error:
        sys.stdout.buffer.write(error.message.encode())
        sys.exit(_REFUSED)
