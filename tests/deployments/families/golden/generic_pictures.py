"""The pictures for which `make_generic_onnx.py` keeps the answers of the original code."""

import numpy as np
from numpy.typing import NDArray

SHAPES_PX = [(97, 160), (64, 64), (50, 41), (300, 77)]
"""Height and width."""


def picture(height: int, width: int) -> NDArray[np.uint8]:
    """uint8 RGB with structure of all sizes, always the same for one shape."""
    generator = np.random.default_rng(height * 1000 + width)
    coarse = np.kron(generator.integers(0, 206, (height // 10 + 1, width // 10 + 1, 3)), np.ones((10, 10, 1)))
    return (coarse[:height, :width] + generator.integers(0, 50, (height, width, 3))).astype(np.uint8)
