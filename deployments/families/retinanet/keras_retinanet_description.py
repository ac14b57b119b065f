"""Whether Keras's description of a network is that of keras-retinanet 0.1. Compares; runs and imports nothing.

The description names classes with their settings. What has no weights is rebuilt from our own code, so a layer of
another kind, or with other settings, must be found here or the answers would be silently wrong.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from deployments.errors import ModelUnavailable
from deployments.families.retinanet.retinanet_blocks import STRIDES_PX

NORM_EPSILON = 1e-5
BOX_DEVIATIONS = (0.1, 0.1, 0.2, 0.2)
ANCHOR_RATIOS = (0.5, 1.0, 2.0)
ANCHOR_SCALES = tuple(2 ** (step / 3) for step in range(3))

_KINDS = {
    *("InputLayer", "ZeroPadding2D", "Conv2D", "BatchNormalization", "Activation", "MaxPooling2D", "Add"),
    *("Concatenate", "Reshape", "Model", "Functional", "UpsampleLike", "Anchors", "RegressBoxes"),
    "NonMaximumSuppression",
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "Conv2D": {"data_format": "channels_last", "dilation_rate": (1, 1)},
    "BatchNormalization": {"epsilon": NORM_EPSILON},
    "RegressBoxes": {"mean": (0, 0, 0, 0), "std": BOX_DEVIATIONS},
    "MaxPooling2D": {"pool_size": (3, 3), "strides": (2, 2)},
    **{
        f"anchors_{index}": {"size": 4 * px, "stride": px, "ratios": ANCHOR_RATIOS, "scales": ANCHOR_SCALES}
        for index, px in enumerate(STRIDES_PX)
    },
}
_MAX_NESTING = 3


def check_description(description: dict[str, Any]) -> None:
    """Raise ModelUnavailable for a layer or a setting that keras-retinanet 0.1 does not have."""
    layers = list(_layers(description, 0))
    for layer in layers:
        kind, name, settings = layer["class_name"], layer["name"], layer["config"]
        if kind == "Lambda":
            _check_lambda(layer, layers)
        elif kind not in _KINDS or (kind == "Anchors" and name not in _SETTINGS):
            raise ModelUnavailable(
                f"layer {name[:80]!r} is a {kind[:80]}, which keras-retinanet 0.1 has not; "
                f"known: {', '.join(sorted(_KINDS))}"
            )
        for expected in (_SETTINGS.get(kind), _SETTINGS.get(name)):
            _check_settings(name, settings, expected or {})


def _layers(network: Any, nesting: int) -> Iterator[dict[str, Any]]:
    """All layers with a name, a class and settings, those of nested networks too."""
    settings = network.get("config") if isinstance(network, dict) else None
    layers = settings.get("layers") if isinstance(settings, dict) else None
    if not isinstance(layers, list) or nesting > _MAX_NESTING:
        raise ModelUnavailable("model_config has no list of layers, expected that of a network of Keras 2")
    for layer in layers:
        is_layer = isinstance(layer, dict) and isinstance(layer.get("config"), dict)
        if not is_layer or not isinstance(layer.get("class_name"), str) or not isinstance(layer.get("name"), str):
            raise ModelUnavailable("model_config has a layer without a name, a class or settings")
        yield layer
        if layer["class_name"] in ("Model", "Functional"):
            yield from _layers(layer, nesting + 1)


def _check_settings(name: str, settings: dict[str, Any], expected: dict[str, Any]) -> None:
    for key, value in expected.items():
        found = settings.get(key)
        if not _is_same(found, value):
            raise ModelUnavailable(f"layer {name[:80]!r} has {key} {str(found)[:80]}, expected {value}")


def _is_same(found: Any, value: Any) -> bool:
    """Whether numbers, or lists of them, agree within float32, or strings exactly."""
    if isinstance(value, str) or found is None:
        return bool(found == value)
    try:
        return np.shape(found) == np.shape(value) and np.allclose(found, value, rtol=1e-4, atol=1e-9)
    except (TypeError, ValueError, OverflowError):
        return False


def _check_lambda(layer: dict[str, Any], layers: list[dict[str, Any]]) -> None:
    """The training script of 0.1 saves a Lambda that cuts the boxes off the detections. It is not run: our own code
    does what it does, so it may only be where the script puts it."""
    kinds = {other["name"]: other["class_name"] for other in layers}
    takers = {other["class_name"] for other in layers if layer["name"] in _inbound(other)}
    if [kinds.get(name) for name in _inbound(layer)] != ["Concatenate"] or takers != {"NonMaximumSuppression"}:
        raise ModelUnavailable(
            f"layer {layer['name'][:80]!r} is a Lambda, a program, which is never run; "
            "known is only the one between the detections and NonMaximumSuppression"
        )


def _inbound(layer: dict[str, Any]) -> list[str]:
    """Names of the layers that a layer takes its input from."""
    nodes = layer.get("inbound_nodes")
    if not isinstance(nodes, list) or not all(isinstance(node, list) for node in nodes):
        return []
    return [
        entry[0]
        for node in nodes
        for entry in node
        if isinstance(entry, list) and entry and isinstance(entry[0], str)
    ]
