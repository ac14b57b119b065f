"""Files of safetensors: what is read, and that whatever a header claims is checked before anything is believed."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.checkpoints.safetensors import MAX_HEADER_BYTES, SafetensorsFile
from deployments.checkpoints.safetensors_folder import INDEX, ONE_FILE, open_folder
from deployments.errors import ModelUnavailable
from tests.deployments.checkpoints.safetensors_writer import header_of, write_raw, write_safetensors

WEIGHTS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([0.5, -2], np.float16),
    "c": np.float64(7).reshape(()),
    "empty": np.zeros((0, 4), np.float32),
}


def test_tensors_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = SafetensorsFile(write_safetensors(tmp_path / "x.safetensors", WEIGHTS))
    assert set(file.places) == set(WEIGHTS)
    for name, values in WEIGHTS.items():
        found = file.numpy(name)
        assert (found.dtype, found.shape) == (values.dtype, values.shape)
        np.testing.assert_array_equal(found, values)


def test_bfloat16_is_widened(tmp_path: Path) -> None:
    values = np.array([1.0, -3.5, 0.15625, np.inf], np.float32)
    halves = (values.view(np.uint32) >> 16).astype("<u2")
    header = {"x": {"dtype": "BF16", "shape": [4], "data_offsets": [0, 8]}}
    path = write_raw(tmp_path / "x.safetensors", json.dumps(header).encode(), halves.tobytes())
    found = SafetensorsFile(path).numpy("x")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values)


def test_only_the_tensor_that_is_asked_for_is_in_memory(tmp_path: Path) -> None:
    large = {"large": np.zeros(8 * 2**20, np.float32), "small": np.ones(3, np.float32)}
    path = write_safetensors(tmp_path / "x.safetensors", large)
    tracemalloc.start()
    try:
        np.testing.assert_array_equal(SafetensorsFile(path).numpy("small"), 1)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def entry(**changes: Any) -> dict[str, Any]:
    """The header of one tensor of two float32, with changes."""
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


TWO = np.zeros(2, np.float32)
DEEP = b'{"x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (entry(dtype="F33"), "unknown type 'F33'"),
        (entry(dtype=4), "unknown type '4'"),
        (entry(shape=[3]), r"of F32 and shape \(3,\) has 8 bytes, expected 12"),
        (entry(shape=[-2]), r"has the shape \[-2\]"),
        (entry(shape=[2.0]), "has the shape"),
        (entry(shape=[True, 2]), "has the shape"),
        (entry(shape=2), "has the shape 2"),
        (entry(shape=[1] * 9), "has the shape"),
        (entry(shape=[2**31, 2**31]), "more than 2147483648 elements"),
        (entry(shape=[2**62, 4]), "more than 2147483648 elements"),
        (entry(data_offsets=[0, 9]), "lies at 0 to 9, outside of 8 bytes"),
        (entry(data_offsets=[8, 0]), "lies at 8 to 0"),
        (entry(data_offsets=[-8, 0]), "expected two offsets"),
        (entry(data_offsets=[0]), "expected two offsets"),
        (entry(data_offsets=[0, 4]), "has 4 bytes, expected 8"),
        (entry(shape=[1], data_offsets=[4, 8]), "leaves bytes before it that belong to none"),
        (entry(shape=[1], data_offsets=[0, 4]), "tensors of 4 bytes in all, and 8 bytes behind the header"),
        (entry() | {"y": entry()["x"]}, "overlaps another"),
        (entry(more=1), "is not described by"),
        ({"x": {"dtype": "F32"}}, "is not described by"),
        ({"x": 3}, "is not described by"),
        (entry(shape=[2**47, 2**47, 0]), "has more than"),
        (entry(shape=[10**4000]), "has the shape.{0,100}$"),
        (entry(data_offsets=[10**4000, 10**4000]), "lies at.{0,120}$"),
        (entry(shape=[True]), "has the shape"),
        (entry(shape="11"), "has the shape"),
        ({}, "tensors of 0 bytes in all"),
        ({f"t{number}": 0 for number in range(20_001)}, "20001 tensors, the limit is 20000"),
        (b'{"x": 1, "x": 1}', "the key 'x' stands there twice"),
        (b'{"x": {"shape": [2], "shape": [2]}}', "the key 'shape' stands there twice"),
        (b'{"x": NaN}', "NaN is no number of JSON"),
        (b'{"x": ', "not valid JSON"),
        (b'{"\xff": 1}', "not valid JSON"),
        (b'{"x": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (DEEP, "not valid JSON"),
    ],
)
def test_a_header_that_lies_is_refused(tmp_path: Path, header: Any, reason: str) -> None:
    path = write_safetensors(tmp_path / "x.safetensors", {"x": TWO}, header)
    with pytest.raises(ModelUnavailable, match=rf"^x\.safetensors.*{reason}") as caught:
        SafetensorsFile(path)
    assert len(caught.value.message) < 500


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a safetensors file: it has 0 bytes"),
        (b"\x02\0\0\0\0\0\0\0{", "not a safetensors file: it has 9 bytes"),
        (b"PK\x03\x04" + b"\0" * 50, "a zip archive, as PyTorch checkpoints"),
        (b"\0" * 50, "starts with"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a pointer of Git LFS.*`git lfs pull`",
        ),
        (b"<!doctype html><html>" + b" " * 50, "a web page"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ModelUnavailable, match=reason):
        SafetensorsFile(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (2**63, f"a header of {2**63} bytes, the limit is {MAX_HEADER_BYTES}"),
        (MAX_HEADER_BYTES + 1, "the limit is"),
        (1000, r"a header of 1000 bytes in a file of \d+: damaged, or not all of it"),
        (0, "not valid JSON"),
    ],
)
def test_the_length_of_a_header_is_not_believed(tmp_path: Path, length: int, reason: str) -> None:
    path = write_raw(tmp_path / "x.safetensors", json.dumps(entry()).encode(), TWO.tobytes(), length)
    with pytest.raises(ModelUnavailable, match=reason):
        SafetensorsFile(path)


def test_a_long_header_of_repeated_keys_is_refused_in_time(tmp_path: Path) -> None:
    names = ", ".join(f'"k{number}": 0' for number in range(400_000))
    with pytest.raises(ModelUnavailable, match="twice"):
        SafetensorsFile(write_raw(tmp_path / "x.safetensors", f'{{{names}, "k399999": 1}}'.encode(), b""))


def test_what_is_no_weight_is_not_read_as_one(tmp_path: Path) -> None:
    file = SafetensorsFile(write_safetensors(tmp_path / "x.safetensors", {"x": np.arange(3)}))
    with pytest.raises(ModelUnavailable, match="tensor 'x' has the type I64, expected F64, F32, F16, BF16"):
        file.numpy("x")
    with pytest.raises(ModelUnavailable, match="holds no tensor 'y'"):
        file.numpy("y")


def test_a_file_that_is_cut_short_later_is_refused(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "x.safetensors", WEIGHTS)
    file = SafetensorsFile(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelUnavailable, match="was cut short while it was read"):
        file.numpy("a")


def shards(folder: Path, weight_map: Any = None) -> None:
    """Two files and the index that says so, or something else."""
    write_safetensors(folder / "one.safetensors", {"a": WEIGHTS["a"]})
    write_safetensors(folder / "two.safetensors", {"b": WEIGHTS["b"]})
    content = {"weight_map": weight_map or {"a": "one.safetensors", "b": "two.safetensors"}}
    (folder / INDEX).write_text(json.dumps(content))


def test_shards_are_one(tmp_path: Path) -> None:
    shards(tmp_path)
    found = open_folder(tmp_path)
    assert (set(found.files), found.shape("a")) == ({"a", "b"}, (2, 3))
    np.testing.assert_array_equal(found.numpy("b"), WEIGHTS["b"])
    # As transformers does, the one file is taken where both are there.
    write_safetensors(tmp_path / ONE_FILE, {"c": WEIGHTS["c"]})
    assert set(open_folder(tmp_path).files) == {"c"}


@pytest.mark.parametrize(
    ("weight_map", "reason"),
    [
        ({"a": "one.safetensors"}, None),
        ({"a": "one.safetensors", "b": "one.safetensors"}, "does not hold tensor 'b'"),
        ({"a": "one.safetensors", "b": "three.safetensors"}, "cannot read the weights"),
        ({"a": "one.safetensors", "b": "../two.safetensors"}, "names the file '../two.safetensors'"),
        ({"a": "one.safetensors", "b": "/etc/passwd"}, "names the file '/etc/passwd'"),
        ({"a": "one.safetensors", "b": "two.bin"}, "names the file 'two.bin'"),
        ({"a": "one.safetensors", "b": 4}, "names the file '4'"),
        ({f"t{number}": f"s{number}.safetensors" for number in range(65)}, "names 65 files, the limit is 64"),
        ([], "no weight_map"),
        ("x", "no weight_map"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, weight_map: Any, reason: str | None) -> None:
    shards(tmp_path, weight_map)
    if reason is None:
        assert set(open_folder(tmp_path).files) == {"a"}
        return
    if weight_map == []:
        (tmp_path / INDEX).write_text('{"weight_map": []}')
    with pytest.raises(ModelUnavailable, match=reason):
        open_folder(tmp_path)


def test_a_shard_with_more_than_its_index_says_is_refused(tmp_path: Path) -> None:
    shards(tmp_path)
    write_safetensors(tmp_path / "two.safetensors", {"b": WEIGHTS["b"], "z": WEIGHTS["c"]})
    with pytest.raises(ModelUnavailable, match=r"two\.safetensors: holds beyond what the index says tensor 'z'"):
        open_folder(tmp_path)


def test_a_folder_without_weights_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"holds neither model\.safetensors nor"):
        open_folder(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK")
    with pytest.raises(ModelUnavailable, match=r"pytorch_model\.bin, a pickle, which is not read; save it again"):
        open_folder(tmp_path)
    with pytest.raises(ModelUnavailable, match="not a folder of a model"):
        open_folder(tmp_path / "nowhere")


def test_the_writer_writes_what_the_format_says(tmp_path: Path) -> None:
    assert header_of({"b": WEIGHTS["b"]})["b"] == {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}
