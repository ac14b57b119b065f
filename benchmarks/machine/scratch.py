"""The folder of a run of the bench, and an end that leaves nothing behind."""

import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from benchmarks.machine.started import end_everything

INTERRUPTED = 130
"""Exit status after an interrupt."""


@contextmanager
def run_folder() -> Iterator[Path]:
    """A folder for the time of a run. SIGTERM and Ctrl-C raise KeyboardInterrupt in it; whatever it has started is
    killed at its end."""
    signal.signal(signal.SIGTERM, _interrupt)
    # A shell may have had SIGINT ignored, which children would inherit; it is how systems are stopped.
    signal.signal(signal.SIGINT, _interrupt)
    # Short, since the names of the sockets of Ray and HAProxy are limited to about 100 bytes.
    folder = Path(tempfile.mkdtemp(prefix="fb-"))
    try:
        yield folder
    finally:
        # A second Ctrl-C must not leave anything behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_everything()
        shutil.rmtree(folder, ignore_errors=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
