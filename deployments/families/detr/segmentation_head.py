"""The masks of RF-DETR: features of the image, and for each query what to look for among them.

As in rfdetr 1.11 `models/heads/segmentation.py`, and `models/postprocess.py` for a mask from its logits. Always in
float32.
"""

from typing import Any

import cv2
import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.families.detr.named_layers import dense, norm_layer
from deployments.families.detr.rf_detr_layout import RfDetrLayout
from deployments.families.detr.rf_detr_settings import Size
from deployments.families.detr.rf_detr_sizes import MASKS
from deployments.families.detr.rf_detr_tensors import NamedTensors
from deployments.families.shared.convolution import ConvolutionGeometry, depthwise_convolution
from deployments.families.shared.transformer import Dense, Mlp, Norm, Program, make_layer_norm, make_linear, make_mlp
from deployments.prediction import Masks

_EPSILON = 1e-6
_KERNEL = ConvolutionGeometry.of((3, 3), (1, 1), (1, 1))


class SegmentationHead:
    """Mask logits of all queries; call it inside a compiled function."""

    def __init__(self, tensors: NamedTensors, layout: RfDetrLayout, size_px: Size) -> None:
        """size_px: height and width of the network's input."""
        self._size = layout.mask_size(size_px)
        self._blocks = [_block(tensors, f"{MASKS}.blocks.{index}") for index in range(layout.mask_blocks)]
        weight, bias = (tensors(f"{MASKS}.spatial_features_proj.{part}") for part in ("weight", "bias"))
        self._features = make_linear(Dense(weight[:, :, 0, 0], bias))
        block = f"{MASKS}.query_features_block"
        self._norm = norm_layer(tensors, f"{block}.norm_in")
        self._mlp = make_mlp(Mlp(dense(tensors, f"{block}.layers.0"), dense(tensors, f"{block}.layers.2")))
        self._queries = make_linear(dense(tensors, f"{MASKS}.query_features_proj"))
        self._bias = float(tensors(f"{MASKS}.bias")[0])

    def __call__(self, feature: Any, queries: Any) -> Any:
        """feature: the first map of the decoder, float32 (n, rows, columns, channels).  queries: those that the
        decoder gives, (n, q, channels). Gives logits (n, q, height, width)."""
        feature = ops.image.resize(feature, self._size, interpolation="bilinear")
        for block in self._blocks:
            feature = block(feature)
        height, width = self._size
        channels, count = int(queries.shape[2]), int(queries.shape[1])
        pixels = ops.reshape(self._features(feature), (-1, height * width, channels))
        wanted = self._queries(queries + self._mlp(self._norm(queries)))
        logits = ops.matmul(wanted, ops.transpose(pixels, (0, 2, 1))) + self._bias
        return ops.reshape(logits, (-1, count, height, width))


def masks_of(logits: NDArray[np.float32], queries: NDArray[Any], size_px: Size) -> Masks:
    """The masks of some queries of one image.

    logits: (q, height, width).  queries: (n,), which of them.  size_px: height and width of the masks' grid, on which
    logits are interpolated before their sign counts.
    """

    def mask_of(index: int) -> NDArray[np.bool_]:
        values = np.ascontiguousarray(logits[queries[index]], np.float32)
        return np.asarray(cv2.resize(values, size_px[::-1], interpolation=cv2.INTER_LINEAR) > 0, np.bool_)

    return Masks.of(len(queries), mask_of, size_px)


def _block(tensors: NamedTensors, name: str) -> Program:
    """A block of ConvNeXt without its MLP (Liu et al. 2022, arXiv:2201.03545)."""
    around = depthwise_convolution(tensors(f"{name}.dwconv.weight"), tensors(f"{name}.dwconv.bias"), _KERNEL)
    norm = make_layer_norm(Norm(tensors(f"{name}.norm.weight"), tensors(f"{name}.norm.bias"), _EPSILON))
    mix = make_linear(dense(tensors, f"{name}.pwconv1"))
    return lambda x: x + ops.gelu(mix(norm(around(x))), approximate=False)
