"""HDF5 files are first opened in a child process, which may be killed, hang or refuse."""

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from deployments.checkpoints.hdf5 import open_tried
from deployments.checkpoints.sandbox import run_child
from deployments.errors import ModelUnavailable
from tests.deployments.checkpoints.hdf5_files import KERNEL, attribute, compressed, replace, write


def endless(path: Path) -> Path:
    """A file whose heap of texts has a free piece of no size, over which the HDF5 library walks for ever."""
    content = bytearray(write(path, attribute("model_config", "{}")).read_bytes())
    place = content.index(b"GCOL") + 16
    while True:
        index, _, size_bytes = struct.unpack_from("<HHxxxxQ", content, place)
        if index == 0:
            break
        place += 16 + -(-size_bytes // 8) * 8
    struct.pack_into("<Q", content, place + 8, 0)
    path.write_bytes(content)
    return path


def test_a_file_that_keeps_the_library_busy_for_ever_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"endless\.h5: (reading it takes longer than 4 s|the HDF5 file is damaged)"
    ):
        open_tried(endless(tmp_path / "endless.h5"), time_limit_s=4)


def test_a_refusal_in_the_child_reads_as_one_here(tmp_path: Path) -> None:
    path = write(tmp_path / "evil.h5", lambda file: replace(file, compressed))
    with pytest.raises(ModelUnavailable, match=r"^evil\.h5: 'dense/kernel:0' is stored in chunks or compressed"):
        open_tried(path)


def test_a_child_that_dies_is_told() -> None:
    crash = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
    with pytest.raises(ModelUnavailable, match=r"evil\.h5: reading it ends a process with status -11"):
        run_child(crash, "evil.h5", time_limit_s=30)


def test_an_honest_file_is_opened_after_its_trial(tmp_path: Path) -> None:
    with open_tried(write(tmp_path / "honest.h5")) as file:
        np.testing.assert_array_equal(file.layers()["dense"]["dense/kernel:0"].numpy(), KERNEL)
