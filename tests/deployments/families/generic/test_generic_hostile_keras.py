""".keras files that mean harm: each is refused with its reason, and nothing in it is executed."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from deployments.errors import ModelUnavailable
from deployments.families.generic.keras_zip import try_weights
from tests.deployments.families.hostile import refused
from tests.deployments.families.small_generic_models import quiet, write_keras_classifier


@pytest.fixture(scope="module")
def honest_keras(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("honest") / "honest.keras"
    write_keras_classifier(path)
    return path


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_archive(path: Path, content: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def with_layer(honest: Path, path: Path, layer: dict[str, Any]) -> Path:
    """The honest model with its pooling layer replaced."""
    content = entries(honest)
    config = json.loads(content["config.json"])
    layers = config["config"]["layers"]
    layers[1] = {**layers[1], "registered_name": None} | layer
    return write_archive(path, content | {"config.json": json.dumps(config).encode()})


LAMBDA = {"class_name": "__lambda__", "config": {"value": ["4wAA", None, None]}}
LAYERS: dict[str, tuple[dict[str, Any], str]] = {
    "Lambda": ({"class_name": "Lambda", "config": {"function": LAMBDA}}, "the layer Lambda can run code"),
    "SavedModel inside": (
        {"class_name": "TFSMLayer", "config": {"filepath": "/tmp/evil"}},
        "the layer TFSMLayer can run code or read other files",
    ),
    "pickle inside": ({"class_name": "TorchModuleWrapper", "config": {"module": "gASV"}}, "the layer TorchModule"),
    "vocabulary from a path": (
        {"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        "the layer StringLookup can run code or read other files",
    ),
    "function of Python": (
        {"module": "os", "class_name": "system", "config": {"command": "true"}},
        r"os\.system .* is not a layer or operation of Keras itself",
    ),
    "function of Keras": (
        {"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://evil"}},
        r"keras\.utils\.get_file .* is not a layer",
    ),
    "inner module of Keras": (
        {"module": "keras.src.saving.saving_lib", "class_name": "H5IOStore", "config": {}},
        r"keras\.src\.saving\.saving_lib\.H5IOStore .* is not a layer",
    ),
    "registered class": (
        {"module": "evil", "class_name": "Evil", "registered_name": "evil>Evil", "config": {}},
        r"evil\.Evil \(registered as evil>Evil\)",
    ),
    "registered under a known name": (
        {"class_name": "Dense", "registered_name": "evil>Evil", "config": {}},
        r"keras\.layers\.Dense \(registered as evil>Evil\)",
    ),
    "no module": ({"module": None, "class_name": "Dense", "config": {}}, "without a module"),
    "lambda as activation": (
        {"class_name": "Dense", "config": {"units": 3, "activation": LAMBDA}},
        "'__lambda__' without a module",
    ),
    "function as activation": (
        {
            "class_name": "Dense",
            "config": {"activation": {"class_name": "function", "module": "os", "config": "system"}},
        },
        r"the function os\.system is none of keras\.activations",
    ),
    "type of TensorFlow": (
        {"class_name": "Dense", "config": {"spec": {"class_name": "__typespec__", "module": "os", "config": []}}},
        r"os\.__typespec__",
    ),
    "private name": ({"class_name": "__init__", "config": {}}, r"keras\.layers\.__init__"),
    "training of an inner model": (
        {"module": "keras", "class_name": "Sequential", "config": {"layers": []}, "compile_config": {"loss": "evil"}},
        "has its own training",
    ),
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_keras_file_may_name_known_layers_only(honest_keras: Path, tmp_path: Path, case: str) -> None:
    layer, reason = LAYERS[case]
    refused("keras", with_layer(honest_keras, tmp_path / "evil.keras", layer), reason)


def test_a_lambda_that_keras_itself_wrote_does_not_run(tmp_path: Path) -> None:
    import keras

    marker, path = tmp_path / "executed", tmp_path / "evil.keras"
    image = keras.Input((32, 32, 3))
    evil = keras.layers.Lambda(lambda x, place=str(marker): Path(place).touch() or x)
    with quiet():
        keras.Model(image, evil(image)).save(path)
    assert marker.exists(), "the layer does nothing, so that this test would show nothing"
    marker.unlink()
    refused("keras", path, "the layer Lambda can run code")
    assert not marker.exists()


def weights_with(edit: Callable[[h5py.File, Path], None], folder: Path) -> bytes:
    path = folder / "edited.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.eye(3, dtype=np.float32)
        edit(file, folder)
    return path.read_bytes()


def external_dataset(file: h5py.File, folder: Path) -> None:
    secret = folder / "secret"
    secret.write_bytes(bytes(36))
    file.create_dataset("stolen", (9,), np.float32, external=[(str(secret), 0, 36)])


def virtual_dataset(file: h5py.File, folder: Path) -> None:
    layout = h5py.VirtualLayout((3,), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "x", (3,))
    file.create_virtual_dataset("stolen", layout)


def external_link(file: h5py.File, folder: Path) -> None:
    file["stolen"] = h5py.ExternalLink(str(folder / "other.h5"), "/x")


def soft_link(file: h5py.File, folder: Path) -> None:
    del folder
    file["again"] = h5py.SoftLink("/layers")


def texts(file: h5py.File, folder: Path) -> None:
    del folder
    file["words"] = ["a", "b"]


def circle(file: h5py.File, folder: Path) -> None:
    del folder
    file["layers/again"] = file["/"]


def maze(file: h5py.File, folder: Path) -> None:
    """Forty groups, and a million million ways through them."""
    del folder
    group = file.create_group("maze")
    for _ in range(40):
        inner = group.create_group("left")
        group["right"] = inner
        group = inner


def compressed(file: h5py.File, folder: Path) -> None:
    del folder
    file.create_dataset("small", data=np.zeros(1000, np.float32), compression="gzip")


def empty_terabyte(file: h5py.File, folder: Path) -> None:
    del folder
    file.create_dataset("huge", (2**38,), np.float32, chunks=(2**20,))


WEIGHTS: dict[str, tuple[Callable[[h5py.File, Path], None], str]] = {
    "external dataset": (external_dataset, "'/stolen' in the weights lies in another file"),
    "virtual dataset": (virtual_dataset, "'/stolen' in the weights lies in another file"),
    "external link": (external_link, "'/stolen' in the weights is a link"),
    "soft link": (soft_link, "'/again' in the weights is a link"),
    "texts": (texts, "'/words' in the weights does not hold numbers"),
    "a circle": (circle, "'/layers/again' in the weights is in two places"),
    "a maze": (maze, "'/maze/right' in the weights is in two places"),
    "compressed": (compressed, "'/small' in the weights is compressed"),
    "an empty terabyte": (empty_terabyte, "'/huge' in the weights claims 1099511627776 bytes and holds 0"),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_the_weights_of_a_keras_file_lie_in_it(honest_keras: Path, tmp_path: Path, case: str) -> None:
    edit, reason = WEIGHTS[case]
    content = entries(honest_keras) | {"model.weights.h5": weights_with(edit, tmp_path)}
    refused("keras", write_archive(tmp_path / "evil.keras", content), reason)


def test_a_keras_file_is_an_archive_of_three_entries(honest_keras: Path, tmp_path: Path) -> None:
    content = entries(honest_keras)
    path = tmp_path / "evil.keras"
    refused("keras", write_archive(path, content | {"assets/../../x": b""}), "it holds 4 entries")
    refused("keras", write_archive(path, content, zipfile.ZIP_DEFLATED), "is compressed")
    path.write_bytes(honest_keras.read_bytes()[:-100])
    refused("keras", path, "not a model that Keras 3 saved: not a zip archive, or one that is cut short")
    refused("keras", write_archive(path, {str(number): b"" for number in range(2000)}), "2000 entries in a directory")
    refused("keras", tmp_path / "absent.keras", "cannot read the model: No such file")


ENTRIES = {
    "no end": ({"config.json": b"[" * 100_000}, "config.json is not valid JSON"),
    "no model": ({"config.json": b"[]"}, "config.json holds no model"),
    "nested": ({"config.json": b'{"config":' * 300 + b"1" + b"}" * 300}, "nested more than 200 deep"),
    "no weights": ({"model.weights.h5": b"\x89HDF"}, "weights.h5 is damaged"),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_a_keras_file_with_a_damaged_entry_is_refused(honest_keras: Path, tmp_path: Path, case: str) -> None:
    change, reason = ENTRIES[case]
    refused("keras", write_archive(tmp_path / "evil.keras", entries(honest_keras) | change), reason)


def test_two_entries_of_one_name_are_refused(honest_keras: Path, tmp_path: Path) -> None:
    path = write_archive(tmp_path / "evil.keras", entries(honest_keras))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", b"{}")
    refused("keras", path, "it holds 4 entries")


def test_weights_that_keep_the_library_busy_are_given_up(honest_keras: Path) -> None:
    """No process starts within a millisecond, so that any file stands for one that is never done."""
    with pytest.raises(ModelUnavailable, match=r"honest\.keras: reading it takes longer than 0\.001 s"):
        try_weights(honest_keras, time_limit_s=0.001)
