"""The reader on sound files: types, layouts, which weights win, and what becomes of settings and optimizers."""

from pathlib import Path

import numpy as np
import pytest

from deployments.checkpoints import ModuleStub, Tensor, open_checkpoint
from deployments.errors import ModelUnavailable
from tests.deployments.checkpoints.checkpoint_writer import (
    Weights,
    call,
    group,
    instance,
    mapping,
    name,
    plain,
    storage,
    view,
    write,
)

SEQUENTIAL = "torch.nn.modules.container.Sequential"


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int64", "bool"])
def test_values_of_every_type_are_read_as_stored(tmp_path: Path, kind: str) -> None:
    values = (np.arange(24).reshape(2, 3, 4) % 7).astype(kind)
    weights = Weights()
    path = write(tmp_path / "a.pt", mapping({"model": mapping({"w": weights.tensor(values)})}), weights.storages)
    with open_checkpoint(path) as checkpoint:
        found = checkpoint.state_dict("model")["w"].numpy()
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


def test_bfloat16_is_widened_to_float32(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 3.140625, 0.0], np.float32)
    data = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    tensor = view(storage("0", "BFloat16Storage", 4), 0, (4,), (1,))
    path = write(tmp_path / "a.pt", mapping({"model": mapping({"w": tensor})}), {"0": data})
    with open_checkpoint(path) as checkpoint:
        found = checkpoint.state_dict("model")["w"].numpy()
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values)


def test_a_transposed_view_with_an_offset_is_read_in_its_own_order(tmp_path: Path) -> None:
    data = np.arange(10, dtype=np.float32)
    tensor = view(storage("0", "FloatStorage", 10), 4, (3, 2), (1, 3))
    path = write(tmp_path / "a.pt", mapping({"model": mapping({"w": tensor})}), {"0": data.tobytes()})
    with open_checkpoint(path) as checkpoint:
        found = checkpoint.state_dict("model")["w"].numpy()
    np.testing.assert_array_equal(found, data[4:].reshape(2, 3).T)


@pytest.mark.parametrize("root", ["archive", "best", "mbari 315k v2"])
def test_any_root_folder_will_do(tmp_path: Path, root: str) -> None:
    path = write(tmp_path / "a.pt", mapping({"model": Weights().module(SEQUENTIAL)}), root=root, byteorder=b"little")
    with open_checkpoint(path) as checkpoint:
        assert checkpoint.network().kind == SEQUENTIAL


@pytest.mark.parametrize(("ema", "expected"), [("ema", "ema"), (None, "model")])
def test_averaged_weights_win_where_they_are(tmp_path: Path, ema: str | None, expected: str) -> None:
    weights = Weights()
    content = {
        "model": weights.module(SEQUENTIAL, which="model"),
        "ema": plain(None) if ema is None else weights.module(SEQUENTIAL, which=ema),
    }
    with open_checkpoint(write(tmp_path / "a.pt", mapping(content), weights.storages)) as checkpoint:
        assert checkpoint.network().state["which"] == expected


def test_settings_and_optimizers_of_training_checkpoints_become_inert_shells(tmp_path: Path) -> None:
    scalar = call("numpy.core.multiarray", "scalar", name("numpy", "dtype"), plain(b"\0"))
    content = {
        "model": Weights().module(SEQUENTIAL),
        "best_fitness": scalar,
        "opt": instance("argparse.Namespace", plain({"epochs": 3})),
        "args": call("ultralytics.utils", "IterableSimpleNamespace") + plain({"imgsz": 96}) + b"b",
        "save_dir": call("pathlib", "PosixPath", plain("runs")),
        "type": call("dill._dill", "_load_type", plain("CodeType")),
        "size": call("torch", "Size", plain([1, 3])),
        "steps": call("collections", "Counter", plain({1: 2})),
        "seen": call("__builtin__", "set", plain(["a"])),
    }
    with open_checkpoint(write(tmp_path / "a.pt", mapping(content))) as checkpoint:
        root = checkpoint.root
    assert isinstance(root, dict)
    assert isinstance(root["type"], ModuleStub)
    assert root["type"].kind == "dill._dill._load_type"
    assert root["opt"].state == {"epochs": 3}
    assert root["args"].state == {"imgsz": 96}
    assert root["seen"] == ["a"]
    assert root["size"] == [1, 3]


def test_a_state_dict_with_attributes_keeps_its_tensors(tmp_path: Path) -> None:
    weights = Weights()
    ordered = call("collections", "OrderedDict")
    filled = ordered + b"(" + plain("w") + weights.tensor(np.ones(2, np.float32)) + b"u"
    body = mapping({"model": filled + plain({"_metadata": {}}) + b"b"})
    with open_checkpoint(write(tmp_path / "a.pth", body, weights.storages)) as checkpoint:
        tensors = checkpoint.state_dict("model")
        assert {key: value.numpy().tolist() for key, value in tensors.items()} == {"w": [1.0, 1.0]}


def test_an_expanded_tensor_may_lie_about_but_is_no_weight(tmp_path: Path) -> None:
    tensor = view(storage("0", "FloatStorage", 2), 0, (100, 2), (0, 1))
    path = write(tmp_path / "a.pt", mapping({"model": mapping({"w": tensor})}), {"0": bytes(8)})
    with open_checkpoint(path) as checkpoint:
        found = checkpoint.state_dict("model")["w"]
        assert isinstance(found, Tensor)
        with pytest.raises(ModelUnavailable, match="repeats the 2 elements"):
            found.numpy()


def test_a_state_dict_where_a_network_was_expected_is_told_apart(tmp_path: Path) -> None:
    path = write(tmp_path / "weights.pth", mapping({"model": plain({}), "iteration": plain(7)}))
    with (
        open_checkpoint(path) as checkpoint,
        pytest.raises(ModelUnavailable, match=r"weights\.pth: its 'model' is a dict, expected a whole"),
    ):
        checkpoint.network()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"missing\.pt: cannot read the weights: No such file"):
        open_checkpoint(tmp_path / "missing.pt")


def test_reads_stay_within_a_multiple_of_the_file(tmp_path: Path) -> None:
    shared = view(storage("0", "FloatStorage", 25_000), 0, (25_000,), (1,))
    path = write(tmp_path / "a.pt", mapping({"model": mapping({"w": shared})}), {"0": bytes(100_000)})
    with open_checkpoint(path) as checkpoint:
        tensor = checkpoint.state_dict("model")["w"]
        for _ in range(4):
            tensor.numpy()
        with pytest.raises(ModelUnavailable, match="more than 4 times the file's size"):
            tensor.numpy()


def test_attributes_of_a_shell_are_checked_by_type(tmp_path: Path) -> None:
    module = Weights().module(SEQUENTIAL, nc="many", add=1, scale=None, f=group(plain(1)))
    with open_checkpoint(write(tmp_path / "a.pt", mapping({"model": module}))) as checkpoint:
        stub = checkpoint.network()
    with pytest.raises(ModelUnavailable, match=r"attribute 'nc' of torch.*Sequential is 'many', expected an int"):
        stub.integer("nc")
    with pytest.raises(ModelUnavailable, match=r"attribute 'add' .* expected true or false"):
        stub.flag("add")
    with pytest.raises(ModelUnavailable, match=r"attribute 'scale' .* is None, expected a number"):
        stub.number("scale")
    with pytest.raises(ModelUnavailable, match="has no child 'conv'"):
        stub.child("conv")
    with pytest.raises(ModelUnavailable, match="has no tensor 'weight'"):
        stub.tensor("weight")


@pytest.mark.parametrize(
    ("children", "reason"),
    [
        (["a", "b"], "the children of .*Sequential are a list, expected a dict"),
        ({"0": 7}, "child '0' of .*Sequential is not a module"),
        ({0: None, 1: "x"}, "child 1 of .*Sequential is not a module"),
    ],
)
def test_children_that_are_no_modules_are_refused(tmp_path: Path, children: object, reason: str) -> None:
    module = instance(SEQUENTIAL, mapping({"_modules": plain(children)}))
    with (
        open_checkpoint(write(tmp_path / "a.pt", mapping({"model": module}))) as checkpoint,
        pytest.raises(ModelUnavailable, match=reason),
    ):
        _ = checkpoint.network().children


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        (plain([1]), "holds a list, expected a dict"),
        (plain({"model": [1]}), "its 'model' is a list, expected named tensors"),
        (plain({"model": {1: 2}}), "its 'model' is a dict, expected named tensors"),
    ],
)
def test_named_tensors_that_are_not_there_are_refused(tmp_path: Path, root: bytes, reason: str) -> None:
    with (
        open_checkpoint(write(tmp_path / "a.pth", root)) as checkpoint,
        pytest.raises(ModelUnavailable, match=reason),
    ):
        checkpoint.state_dict("model")
