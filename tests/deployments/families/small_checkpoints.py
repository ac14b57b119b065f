"""Checkpoints of RetinaNets as published, with seeded weights, as narrow as a test wants them.

The layouts are those that the original code wrote, kept in `golden/`; the numbers are computed from their names.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.deployments.checkpoints.checkpoint_writer import Weights, mapping, plain, write
from tests.deployments.families.golden import detectron2_weights, keras_retinanet_weights

GOLDEN = Path(__file__).resolve().parent / "golden"
ANCHORS = 9
NARROW = 8
"""Channels are an eighth of the published ones: a file of a few megabytes, and fast."""

PUBLISHED_CLASSES = 17


def golden(name: str) -> dict[str, Any]:
    """What the original code gave and how it laid out its file."""
    content: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return content


@dataclass(frozen=True)
class KerasLayout:
    """Which of the layouts of Keras 2 a file has.

    whole_model: with the description and the optimizer, else weights only.  padded_stem: as keras-resnet 0.1 has it,
    else 0.2.  narrow: what channels are divided by.
    """

    whole_model: bool = True
    padded_stem: bool = True
    narrow: int = NARROW


def write_keras_retinanet(path: Path, class_count: int = 3, layout: KerasLayout | None = None) -> Path:
    """A `.h5` of keras-retinanet 0.1 with a ResNet-50, for the family `keras-retinanet`. Needs `labels`."""
    layout = layout or KerasLayout()
    content = golden("keras_retinanet" if layout.padded_stem else "keras_retinanet_resnet_0_2")
    layers = {
        layer: {name: _narrowed(shape, layout.narrow, class_count) for name, shape in weights.items()}
        for layer, weights in content["layout"].items()
    }
    with h5py.File(path, "w") as file:
        top = file
        if layout.whole_model:
            file.attrs["keras_version"] = b"2.1.2"
            file.attrs["backend"] = b"tensorflow"
            file.attrs["model_config"] = json.dumps(_described(content["config"], class_count)).encode()
            file.create_group("optimizer_weights/training").create_dataset("iterations:0", data=np.int64(9))
            top = file.create_group("model_weights")
        write_layers(top, layers)
    return path


def write_layers(top: Any, layers: Mapping[str, Mapping[str, Sequence[int]]]) -> None:
    """Groups of layers with the seeded weights of these shapes, as Keras 2 writes them."""
    top.attrs["backend"] = b"tensorflow"
    top.attrs["keras_version"] = b"2.1.2"
    top.attrs["layer_names"] = [name.encode() for name in layers]
    for layer, weights in layers.items():
        group = top.create_group(layer)
        group.attrs["weight_names"] = [name.encode() for name in weights]
        for name, shape in weights.items():
            kind = name.rsplit("/", 1)[-1].removesuffix(":0")
            owner = name.split("/")[0] if layer.endswith("_submodel") else layer
            group.create_dataset(name, data=keras_retinanet_weights.weight(f"{owner}/{kind}", tuple(shape)))


def write_detectron2_retinanet(path: Path, narrow: int = NARROW) -> Path:
    """A `.pth` of a RetinaNet R50-FPN of detectron2, 80 classes, for the family `detectron2-retinanet`."""
    weights = Weights()
    tensors = {
        name: weights.tensor(detectron2_weights.weight(name, _narrowed_torch(name, shape, narrow)))
        for name, shape in golden("detectron2_scales")["tensors"].items()
    }
    content = {"model": mapping(tensors), "iteration": plain(89_999), "optimizer": plain({"state": {}})}
    return write(path, mapping(content), weights.storages, root="model_final")


def _narrowed(shape: Sequence[int], narrow: int, class_count: int) -> tuple[int, ...]:
    sides = {PUBLISHED_CLASSES * ANCHORS: class_count * ANCHORS}
    return tuple(sides.get(side, side // narrow if side >= 64 else side) for side in shape)


def _narrowed_torch(name: str, shape: Sequence[int], narrow: int) -> tuple[int, ...]:
    is_last = name.startswith("head.cls_score")
    return tuple(
        side // narrow if side >= 64 and not (is_last and axis == 0) else side for axis, side in enumerate(shape)
    )


def _described(config: dict[str, Any], class_count: int) -> dict[str, Any]:
    """The description with this number of classes. Channels stay as published: no reader needs them."""
    config = copy.deepcopy(config)
    for layer in config["config"]["layers"]:
        for inner in layer["config"].get("layers", ()):
            if inner["name"] == "pyramid_classification":
                inner["config"]["filters"] = class_count * ANCHORS
            if inner["name"] == "pyramid_classification_reshape":
                inner["config"]["target_shape"] = [-1, class_count]
    return config
