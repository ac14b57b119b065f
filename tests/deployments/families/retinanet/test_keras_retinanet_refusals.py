"""Files of keras-retinanet that are not what the family knows: each is refused in words, when the model loads."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from deployments.checkpoints.hdf5 import StoredArray
from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.retinanet.keras_retinanet import KerasRetinaNet
from deployments.families.retinanet.keras_retinanet_description import check_description
from deployments.families.retinanet.keras_retinanet_layout import read_layout
from tests.deployments.families.small_checkpoints import golden, write_keras_retinanet

LAYOUT = golden("keras_retinanet")["layout"]
DESCRIPTION = golden("keras_retinanet")["config"]
Layers = dict[str, dict[str, StoredArray]]


def stored(shape: list[int]) -> StoredArray:
    """A weight whose numbers nobody asks for: the layout looks at shapes only."""
    return StoredArray(file=None, dataset=None, shape=tuple(shape))  # type: ignore[arg-type]


def layers() -> Layers:
    return {layer: {name: stored(shape) for name, shape in weights.items()} for layer, weights in LAYOUT.items()}


def put(layer: str, weight: str, shape: list[int]) -> Callable[[Layers], None]:
    def change(found: Layers) -> None:
        found.setdefault(layer, {})[weight] = stored(shape)

    return change


def without(layer: str) -> Callable[[Layers], None]:
    return lambda found: found.pop(layer) and None


def shuffled(found: Layers) -> None:
    found["regression_submodel"] = dict(reversed(found["regression_submodel"].items()))


def with_five_anchors(found: Layers) -> None:
    for name in ("kernel", "bias"):
        shape = [3, 3, 256, 20] if name == "kernel" else [20]
        found["regression_submodel"][f"pyramid_regression/{name}:0"] = stored(shape)


def with_a_thin_level(found: Layers) -> None:
    found["P6"] = {"P6/kernel:0": stored([3, 3, 2048, 128]), "P6/bias:0": stored([128])}
    found["P7"] = {"P7/kernel:0": stored([3, 3, 128, 256]), "P7/bias:0": stored([256])}


LAYERS: dict[str, tuple[Callable[[Layers], None], str]] = {
    "version 0.2": (
        put("C5_reduced", "C5_reduced/kernel:0", [1, 1, 2048, 256]),
        r"has 'C5_reduced/kernel' \(and 0 more",
    ),
    "a deeper ResNet": (put("res3b1_branch2a", "a/kernel:0", [1, 1, 512, 128]), "has 'res3b1_branch2a/kernel'"),
    "an unknown weight": (put("P5", "P5/scale:0", [256]), "has 'P5/scale'"),
    "no P5": (without("P5"), r"has no 'P5/bias' \(and 1 more\), expected a RetinaNet of keras-retinanet 0\.1"),
    "no head": (without("classification_submodel"), r"has no 'pyramid_classification/bias' \(and 9 more"),
    "no batch norm": (without("bn_conv1"), "has no 'bn_conv1/beta'"),
    "a head in another order": (shuffled, "regression_submodel has the weights .* expected those of"),
    "a larger kernel": (put("P5", "P5/kernel:0", [3, 3, 2048, 256]), r"P5/kernel has shape \(3, 3, 2048, 256\)"),
    "a flat kernel": (put("P5", "P5/kernel:0", [2048, 256]), r"expected \(1, 1, in, out\)"),
    "a short bias": (put("P5", "P5/bias:0", [255]), r"P5/bias has shape \(255,\), expected \(256,\)"),
    "a short norm": (put("bn_conv1", "bn_conv1/gamma:0", [63]), r"bn_conv1/gamma has shape \(63,\)"),
    "grey images": (put("conv1", "conv1/kernel:0", [7, 7, 1, 64]), "conv1/kernel takes 1 channels and is given 3"),
    "a block that does not fit": (
        put("res4b_branch2b", "res4b_branch2b/kernel:0", [3, 3, 128, 256]),
        "res4b_branch2b/kernel takes 128 channels and is given 256",
    ),
    "five anchors": (with_five_anchors, "the heads give 20 and 153 numbers a cell, expected those of 9 anchors"),
    "a thin level": (with_a_thin_level, "of the pyramid have .* expected the same for all"),
}


@pytest.mark.parametrize("case", LAYERS)
def test_other_layers_are_refused(case: str) -> None:
    change, reason = LAYERS[case]
    found = layers()
    change(found)
    with pytest.raises(ModelUnavailable, match=reason):
        read_layout(found, None)


def test_the_original_layout_is_known() -> None:
    layout = read_layout(layers(), DESCRIPTION)
    assert (layout.class_count, layout.has_padded_stem) == (17, True)


def test_names_that_tensorflow_numbered_again_are_known() -> None:
    found = layers()
    found["conv1"] = {"conv1_1/kernel:0": stored([7, 7, 3, 64])}
    found["regression_submodel"] = {
        name.replace("/", "_1/"): weight for name, weight in found["regression_submodel"].items()
    }
    assert read_layout(found, None).class_count == 17


def layer_of(description: dict[str, Any], name: str) -> dict[str, Any]:
    return next(layer for layer in description["config"]["layers"] if layer["name"] == name)


def setting(name: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda description: layer_of(description, name)["config"].update({key: value})


def kind(name: str, value: str) -> Callable[[dict[str, Any]], None]:
    return lambda description: layer_of(description, name).update(class_name=value)


def nested(description: dict[str, Any]) -> None:
    inner = description
    for _ in range(6):
        layer = {"name": "deeper", "class_name": "Model", "config": {"layers": []}}
        inner["config"]["layers"] = [layer]
        inner = layer


DESCRIPTIONS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "another layer": (kind("P5_upsampled", "UpSampling2D"), "'P5_upsampled' is a UpSampling2D, which .* known: Act"),
    "a program": (kind("pool1", "Lambda"), "'pool1' is a Lambda, a program, which is never run"),
    "other anchors": (setting("anchors_2", "size", 100), "'anchors_2' has size 100, expected 128"),
    "other ratios": (setting("anchors_0", "ratios", [0.5, 1, 3]), r"'anchors_0' has ratios \[0\.5, 1, 3\]"),
    "one anchor scale": (setting("anchors_1", "scales", [1]), "has scales"),
    "another deviation": (
        setting("boxes", "std", [0.2] * 4),
        r"'boxes' has std \[0\.2, 0\.2, 0\.2, 0\.2\], expected \(0\.1",
    ),
    "another epsilon": (setting("bn_conv1", "epsilon", 1e-3), r"'bn_conv1' has epsilon 0\.001, expected 1e-05"),
    "a number that is a text": (setting("bn_conv1", "epsilon", "x"), "has epsilon x"),
    "a number beyond all floats": (setting("bn_conv1", "epsilon", 10**400), "has epsilon 1000"),
    "a number that is not there": (setting("bn_conv1", "epsilon", None), "has epsilon None"),
    "channels first": (setting("conv1", "data_format", "channels_first"), "has data_format channels_first"),
    "no list": (lambda description: description.update(config=[]), "has no list of layers"),
    "a layer of no class": (kind("pool1", 7), "a layer without a name, a class or settings"),  # type: ignore[arg-type]
    "networks in networks": (nested, "has no list of layers"),
}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_other_descriptions_are_refused(case: str) -> None:
    change, reason = DESCRIPTIONS[case]
    description = copy.deepcopy(DESCRIPTION)
    change(description)
    with pytest.raises(ModelUnavailable, match=reason):
        check_description(description)


def with_lambda(source: str) -> dict[str, Any]:
    """As the training script of 0.1 saves its network, but for where the Lambda takes its input."""
    description = copy.deepcopy(DESCRIPTION)
    program = {"name": "lambda_1", "class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}}
    program["inbound_nodes"] = [[[source, 0, 0, {}]]]
    nodes = layer_of(description, "nms")["inbound_nodes"][0]
    nodes[0][0] = "lambda_1"
    description["config"]["layers"].append(program)
    return description


def test_the_lambda_of_the_training_script_is_known_and_not_run() -> None:
    check_description(with_lambda("concatenate_1"))
    with pytest.raises(ModelUnavailable, match="known is only the one between the detections and NonMaximum"):
        check_description(with_lambda("P3"))


def test_the_message_names_the_file(tmp_path: Path) -> None:
    path = write_keras_retinanet(tmp_path / "changed.h5")
    with h5py.File(path, "r+") as file:
        del file["model_weights/P5/P5/kernel:0"]
        file["model_weights/P5"].create_dataset("P5/kernel:0", data=np.zeros((3, 3, 256, 32), np.float32))
    with pytest.raises(ModelUnavailable, match=r"^changed\.h5: P5/kernel has shape \(3, 3, 256, 32\), expected"):
        KerasRetinaNet(ModelDefinition(family="keras-retinanet", weights=str(path), labels=("a", "b", "c")))
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": []})
    with pytest.raises(ModelUnavailable, match=r"^changed\.h5: model_config has no list of layers"):
        KerasRetinaNet(ModelDefinition(family="keras-retinanet", weights=str(path), labels=("a", "b", "c")))
