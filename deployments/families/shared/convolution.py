"""PyTorch's convolution in Keras: channels last, symmetric padding, weights in PyTorch's layout.

The arithmetic is that of torch.nn.Conv2d.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.errors import ModelUnavailable

Pair = tuple[int, int]


def variable(values: NDArray[Any], dtype: str) -> keras.Variable:
    """A weight of a network, rounded to float32 first and to `dtype` after."""
    return keras.Variable(values.astype(np.float32), dtype=dtype, trainable=False)


@dataclass(frozen=True, slots=True)
class ConvolutionGeometry:
    """How a kernel moves over a map. Pairs are (vertical, horizontal), in pixels of the map."""

    stride: Pair
    dilation: Pair

    pad: Pair | None
    """Zeros on each side; None where TensorFlow's 'same' does it."""

    @classmethod
    def of(cls, size: Pair, stride: Pair, pad: Pair, dilation: Pair = (1, 1)) -> "ConvolutionGeometry":
        """For a kernel of `size`, (height, width)."""
        # TensorFlow's 'same' is symmetric only for odd kernels and stride 1; there it saves a copy.
        is_same = all(stride[axis] == 1 and 2 * pad[axis] == dilation[axis] * (size[axis] - 1) for axis in (0, 1))
        return cls(stride, dilation, None if is_same else pad)


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution with its bias."""

    kernel: keras.Variable
    """(height, width, in, out); of a depthwise one (height, width, in, multiplier)."""

    bias: keras.Variable
    """(out,)."""

    geometry: ConvolutionGeometry
    is_depthwise: bool = False

    def __call__(self, x: Any) -> Any:
        """(n, height, width, in) to (n, height', width', out). Raises ModelUnavailable for other channels."""
        channels = int(self.kernel.shape[2])
        if int(x.shape[-1]) != channels:
            raise ModelUnavailable(f"a convolution of {channels} channels is given {x.shape[-1]}")
        pad = self.geometry.pad
        if pad is not None and pad != (0, 0):
            x = ops.pad(x, [[0, 0], [pad[0]] * 2, [pad[1]] * 2, [0, 0]])
        convolve = ops.depthwise_conv if self.is_depthwise else ops.conv
        y = convolve(
            x,
            self.kernel,
            strides=self.geometry.stride,
            padding="valid" if pad is not None else "same",
            dilation_rate=self.geometry.dilation,
        )
        return y + self.bias


def dense_convolution(
    weight: NDArray[Any], bias: NDArray[Any], geometry: ConvolutionGeometry, dtype: str = "float32"
) -> Convolution:
    """From PyTorch's weights (out, in, height, width) and bias (out,)."""
    return Convolution(variable(weight.transpose(2, 3, 1, 0), dtype), variable(bias, dtype), geometry)


def depthwise_convolution(
    weight: NDArray[Any], bias: NDArray[Any], geometry: ConvolutionGeometry, dtype: str = "float32"
) -> Convolution:
    """From PyTorch's weights (in, multiplier, height, width) and bias (in * multiplier,)."""
    kernel = weight.transpose(2, 3, 0, 1)
    return Convolution(variable(kernel, dtype), variable(bias, dtype), geometry, is_depthwise=True)
