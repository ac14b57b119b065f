"""What the networks of RetinaNets of both origins share: the bottleneck of a ResNet, and anchors on a grid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.families.shared.convolution import Convolution

STRIDES_PX = (8, 16, 32, 64, 128)
"""Pixels a cell of P3 to P7."""

RESNET50_BLOCKS = (3, 4, 6, 3)
"""Bottlenecks in each stage of a ResNet-50."""


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """Three convolutions and a shortcut (He et al. 2015, arXiv:1512.03385), batch norms folded into them."""

    first: Convolution
    second: Convolution
    third: Convolution
    shortcut: Convolution | None

    def __call__(self, x: Any) -> Any:
        """(n, height, width, in) to (n, height', width', out)."""
        y = self.third(ops.relu(self.second(ops.relu(self.first(x)))))
        return ops.relu(y + (x if self.shortcut is None else self.shortcut(x)))


def grid_anchors(
    size: tuple[int, int], stride_px: int, cell: NDArray[np.float32], offset: float
) -> NDArray[np.float32]:
    """The anchors of a level of (height, width) cells, (height * width * k, 4) x1 y1 x2 y2, in reading order.

    cell: the k anchors around a point.  offset: where in its cell that point lies, in strides.
    """
    y, x = (np.mgrid[0 : size[0], 0 : size[1]].reshape(2, -1) + offset) * stride_px
    corners = np.stack([x, y, x, y], axis=1).astype(np.float32)
    return (corners[:, None] + cell[None]).reshape(-1, 4)
