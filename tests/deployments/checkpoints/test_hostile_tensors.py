"""Tensors that leave their storage, and storages that are not what the pickle says."""

from pathlib import Path

import pytest

from tests.deployments.checkpoints.checkpoint_writer import call, plain, storage, view, write
from tests.deployments.checkpoints.refusals import refused

TENSORS: dict[str, tuple[tuple[int, tuple[int, ...], tuple[int, ...]], str]] = {
    "a negative stride": ((3, (4,), (-1,)), "negative offset, size or stride"),
    "a negative offset": ((-1, (4,), (1,)), "negative offset, size or stride"),
    "a negative size": ((0, (-4,), (1,)), "negative offset, size or stride"),
    "an offset outside": ((4, (1,), (1,)), "reaches element 4 of a storage of 4"),
    "an offset far outside": ((2**62, (1,), (1,)), "reaches element"),
    "a size beyond the end": ((1, (4,), (1,)), "reaches element 4 of a storage of 4"),
    "a stride beyond the end": ((0, (2,), (9,)), "reaches element 9"),
    "an overflow of the element count": ((0, (2**32, 2**32), (0, 0)), "has more than"),
    "an overlap of gigabytes": ((0, (2**31, 4), (0, 1)), "has more than"),
    "nothing of an endless length": ((0, (0, 2**62), (1, 1)), "has more than"),
    "another number of strides": ((0, (2, 2), (1,)), "2 sizes and 1 strides"),
    "nine dimensions": ((0, (1,) * 9, (1,) * 9), "not up to 8 integers"),
}


@pytest.mark.parametrize("case", TENSORS)
def test_a_tensor_that_leaves_its_storage_is_refused(tmp_path: Path, case: str) -> None:
    (offset, shape, strides), reason = TENSORS[case]
    body = view(storage("0", "FloatStorage", 4), offset, shape, strides)
    refused(write(tmp_path / "evil.pt", body, {"0": bytes(16)}), reason)


def test_sizes_that_are_no_integers_are_refused(tmp_path: Path) -> None:
    source = storage("0", "FloatStorage", 4)
    body = call("torch._utils", "_rebuild_tensor_v2", source, plain(0), plain((2.0,)), plain((1,)))
    refused(write(tmp_path / "evil.pt", body, {"0": bytes(16)}), "not up to 8 integers")


@pytest.mark.parametrize(("numel", "reason"), [(5, "16 bytes, the pickle says 20"), (-4, "has -4 elements")])
def test_a_storage_of_another_size_is_refused(tmp_path: Path, numel: int, reason: str) -> None:
    refused(write(tmp_path / "evil.pt", storage("0", "FloatStorage", numel), {"0": bytes(16)}), reason)


@pytest.mark.parametrize("key", ["1", "../data.pkl", "0/../0"])
def test_a_storage_that_is_not_there_is_refused(tmp_path: Path, key: str) -> None:
    refused(write(tmp_path / "evil.pt", storage(key, "FloatStorage", 4), {"0": bytes(16)}), "does not hold")
