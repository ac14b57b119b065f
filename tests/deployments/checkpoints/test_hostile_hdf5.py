"""HDF5 files that mean harm or are damaged: each is refused with its reason, before a number is read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from deployments.checkpoints.hdf5 import MAX_DESCRIPTION_BYTES, MAX_NAMES, KerasFile
from deployments.errors import ModelUnavailable
from tests.deployments.checkpoints.hdf5_files import KERNEL, attribute, compressed, replace, write


def read(path: Path) -> dict[str, dict[str, Any]]:
    """All that a family reads."""
    with KerasFile(path) as file:
        file.description()
        return {
            layer: {name: weight.numpy() for name, weight in weights.items()}
            for layer, weights in file.layers().items()
        }


def test_an_honest_file_is_read(tmp_path: Path) -> None:
    found = read(write(tmp_path / "honest.h5"))
    np.testing.assert_array_equal(found["dense"]["dense/kernel:0"], KERNEL)


def external_link(group: Any) -> None:
    group["kernel:0"] = h5py.ExternalLink("/etc/other.h5", "/dense")


def soft_link(group: Any) -> None:
    group["kernel:0"] = h5py.SoftLink("/dense")


def virtual(group: Any) -> None:
    layout = h5py.VirtualLayout((3, 4), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "dense", (3, 4))
    group.create_virtual_dataset("kernel:0", layout)


def outside(group: Any) -> None:
    group.create_dataset("kernel:0", (3, 4), np.float32, external=[("/etc/hostname", 0, 48)])


def chunked(group: Any) -> None:
    group.create_dataset("kernel:0", data=KERNEL, chunks=(1, 4))


def claimed(group: Any) -> None:
    """Terabytes, of which none is there."""
    group.create_dataset("kernel:0", (2**20, 2**20), np.float32)


def numbers(kind: Any) -> Callable[[Any], None]:
    return lambda group: group.create_dataset("kernel:0", data=np.zeros((3, 4), kind)) and None


def texts(group: Any) -> None:
    group.create_dataset("kernel:0", data=["a"] * 3, dtype=h5py.string_dtype())


def references(group: Any) -> None:
    group.create_dataset("kernel:0", data=[group.ref] * 3, dtype=h5py.ref_dtype)


def folder(group: Any) -> None:
    group.create_group("kernel:0")


def nothing(group: Any) -> None:
    pass


ARRAYS: dict[str, tuple[Callable[[Any], None], str]] = {
    "an external link": (external_link, "is a ExternalLink, which may lead to another file"),
    "a soft link": (soft_link, "is a SoftLink"),
    "a virtual dataset": (virtual, "is a virtual dataset, put together from other files"),
    "numbers in another file": (outside, "lies in another file"),
    "a filter": (compressed, "stored in chunks or compressed"),
    "chunks": (chunked, "stored in chunks or compressed"),
    "a size that is not there": (claimed, r"needs 4398046511104 bytes, the file holds 0"),
    "whole numbers": (numbers(np.int32), r"is of type int32 and shape \(3, 4\), expected floating-point"),
    "complex numbers": (numbers(np.complex64), "expected floating-point"),
    "records": (numbers([("a", "f4")]), "expected floating-point"),
    "texts": (texts, "expected floating-point"),
    "references": (references, "expected floating-point"),
    "a folder": (folder, "is not an array"),
    "nothing": (nothing, "which its list names"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_only_plain_arrays_of_this_file_are_read(tmp_path: Path, case: str) -> None:
    make, reason = ARRAYS[case]
    path = write(tmp_path / "evil.h5", lambda file: replace(file, make))
    with pytest.raises(ModelUnavailable, match=reason) as caught:
        read(path)
    assert caught.value.message.startswith("evil.h5: ")


def drop(key: str) -> Callable[[Any], None]:
    return lambda file: file.attrs.__delitem__(key)


def twice(file: Any) -> None:
    """Two layers whose weights are the same bytes: more is read than the file holds."""
    names = [f"copy{index}" for index in range(40)]
    for name in names:
        file[name] = file["dense"]
    file.attrs["layer_names"] = [name.encode() for name in names]
    big = np.zeros((64, 64), np.float32)
    replace(file, lambda group: group.create_dataset("kernel:0", data=big) and None)


def link_to_group(file: Any) -> None:
    file["elsewhere"] = h5py.ExternalLink("/etc/other.h5", "/")
    file.attrs["layer_names"] = [b"elsewhere"]


def flat_layer(file: Any) -> None:
    file.create_dataset("flat", data=KERNEL)
    file.attrs["layer_names"] = [b"flat"]


ATTRIBUTES: dict[str, tuple[Callable[[Any], None], str]] = {
    "no list of layers": (drop("layer_names"), "has no 'layer_names', expected a file that Keras 2 wrote"),
    "numbers as names": (attribute("layer_names", [1, 2]), "is of type int64 .* expected up to"),
    "one text as names": (attribute("layer_names", "dense"), "expected up to"),
    "too many names": (attribute("layer_names", np.zeros(MAX_NAMES + 1, "S1")), r"shape \(10001,\)"),
    "a long name": (attribute("layer_names", np.array([b"a" * 600])), "expected up to"),
    "a long name of any length": (attribute("layer_names", ["a" * 600]), "or one is too long"),
    "a name of the parent": (attribute("layer_names", [b".."]), "'..' is not the name of a layer"),
    "a path as a name": (attribute("layer_names", [b"dense/dense"]), "is not the name of a layer"),
    "a weight by way of the root": (attribute("weight_names", [b"/dense/kernel:0"], "dense"), "'' is not the name"),
    "the same layer twice": (attribute("layer_names", [b"dense", b"dense"]), "two layers have the same name"),
    "the same weight twice": (
        attribute("weight_names", [b"dense/kernel:0", b"dense/kernel:0"], "dense"),
        "two weights of '/dense' have the same name",
    ),
    "names that are no text": (attribute("layer_names", np.array([b"\xff\xfe"])), "the HDF5 file is damaged"),
    "another backend": (attribute("backend", b"theano"), "written by Keras on 'theano'"),
    "a layer in another file": (link_to_group, "'elsewhere' is a ExternalLink"),
    "a layer that is an array": (flat_layer, "'flat' is not a group"),
    "the same bytes again and again": (twice, r"weights of \d+ bytes overlap in a file of"),
    "a description that is no text": (attribute("model_config", 7), "'model_config' is of type int64"),
    "a description that is no JSON": (attribute("model_config", "{"), "model_config is not valid JSON"),
    "a description that is nested without end": (
        attribute("model_config", "[" * 50_000),
        "model_config is not valid JSON",
    ),
    "a description that is a list": (attribute("model_config", "[]"), "model_config is a list, expected an object"),
    "a description without end": (
        attribute("model_config", '"' + "a" * MAX_DESCRIPTION_BYTES + '"'),
        r"model_config has 8388610 characters, the limit is 8388608",
    ),
}


@pytest.mark.parametrize("case", ATTRIBUTES)
def test_what_keras_never_writes_is_refused(tmp_path: Path, case: str) -> None:
    change, reason = ATTRIBUTES[case]
    path = write(tmp_path / "evil.h5", change)
    with pytest.raises(ModelUnavailable, match=reason) as caught:
        read(path)
    assert caught.value.message.startswith("evil.h5: ")


def test_no_other_file_is_opened(tmp_path: Path) -> None:
    """A pipe stands where the links lead: whoever opened it would wait for ever."""
    os.mkfifo(tmp_path / "other.h5")
    for name in ("an external link", "a virtual dataset"):
        path = write(tmp_path / "evil.h5", lambda file, make=ARRAYS[name][0]: replace(file, make))
        with pytest.raises(ModelUnavailable):
            read(path)


def test_names_split_over_several_attributes_are_joined(tmp_path: Path) -> None:
    def change(file: Any) -> None:
        del file.attrs["layer_names"]
        file.create_group("empty").attrs["weight_names"] = np.zeros(0)
        file.attrs["layer_names0"], file.attrs["layer_names1"] = [b"dense"], [b"empty"]

    assert {name: len(weights) for name, weights in read(write(tmp_path / "a.h5", change)).items()} == {
        "dense": 1,
        "empty": 0,
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04 a zip", "not an HDF5 file: it is a zip archive"),
        (b"", "not an HDF5 file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "the HDF5 file is damaged"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "other.h5").write_bytes(content)
    with pytest.raises(ModelUnavailable, match=reason):
        read(tmp_path / "other.h5")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"absent\.h5: cannot read the weights: No such file"):
        read(tmp_path / "absent.h5")


@pytest.mark.parametrize("part", [0.3, 0.6, 0.9, 0.99])
def test_a_file_cut_short_is_refused(tmp_path: Path, part: float) -> None:
    whole = write(tmp_path / "whole.h5").read_bytes()
    (tmp_path / "short.h5").write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(ModelUnavailable, match=r"short\.h5: "):
        read(tmp_path / "short.h5")


def test_weights_cannot_be_read_from_a_closed_file(tmp_path: Path) -> None:
    with KerasFile(write(tmp_path / "a.h5")) as file:
        weight = file.layers()["dense"]["dense/kernel:0"]
    with pytest.raises(ModelUnavailable, match=r"a\.h5: "):
        weight.numpy()


def test_a_folder_or_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    for path in (tmp_path, tmp_path / "pipe.h5"):
        with pytest.raises(ModelUnavailable, match="not a file, expected an HDF5 file"):
            KerasFile(path)
