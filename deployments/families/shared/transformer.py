"""The encoder of a vision transformer in Keras, from weights in PyTorch's layout: tokens (n, t, channels) in and out.

The order is that of ViT (Dosovitskiy et al. 2021, arXiv:2010.11929): a norm, attention (Vaswani et al. 2017,
arXiv:1706.03762) and a shortcut; a norm, an MLP and a shortcut; each branch with a LayerScale where there is one
(Touvron et al. 2021, arXiv:2103.17239). Positions, windows and rotations are the caller's: a block does not know
where its tokens lie.

Factors that are constant cost nothing when the network runs, since they are multiplied into the weights beforehand:
those of a norm into the layer behind it, a LayerScale into the layer before it, 1/sqrt(width) into the queries.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from deployments.families.shared.convolution import variable

MOST_PAIRS = 2**22
"""Of queries and keys of all heads, of one image: 16 MiB. More would not be faster, and 4096 tokens would need half a
gigabyte for each image of a batch."""

Values = NDArray[Any]
Program = Callable[[Any], Any]
"""Tokens (n, t, in) to tokens (n, t, out)."""

Rotate = Callable[[Any], Any]
"""Queries or keys (n, heads, t, width) to the same, turned by their positions."""

Block = Callable[[Any, Rotate | None], Any]
"""Tokens (n, t, channels), and what turns queries and keys, to tokens."""

ACTIVATIONS: Mapping[str, Program] = {
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu_new": lambda x: ops.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: ops.gelu(x, approximate=True),
    "quick_gelu": lambda x: x * ops.sigmoid(1.702 * x),
    "relu": ops.relu,
    "silu": ops.silu,
    "swish": ops.silu,
}
"""Activation functions by the names that `transformers` gives them."""


@dataclass(frozen=True, slots=True)
class Norm:
    """A torch.nn.LayerNorm over the channels."""

    weight: Values
    """(channels,)"""

    bias: Values
    """(channels,)"""

    epsilon: float


@dataclass(frozen=True, slots=True)
class Dense:
    """A torch.nn.Linear."""

    weight: Values
    """(out, in)"""

    bias: Values | None = None
    """(out,); None for none."""

    @classmethod
    def stacked(cls, layers: Sequence["Dense"]) -> "Dense":
        """Layers of one input as one, whose outputs lie side by side. Some may have a bias and some none."""
        biases = [layer.bias if layer.bias is not None else np.zeros(len(layer.weight)) for layer in layers]
        has_bias = any(layer.bias is not None for layer in layers)
        weight = np.concatenate([layer.weight for layer in layers])
        return cls(weight, np.concatenate(biases) if has_bias else None)

    def after(self, norm: Norm) -> "Dense":
        """This layer with the weight and bias of the norm in front of it, which then only standardises."""
        weight = self.weight.astype(np.float64)
        shift = weight @ norm.bias.astype(np.float64)
        return Dense(weight * norm.weight, shift if self.bias is None else shift + self.bias)

    def scaled(self, factors: Values) -> "Dense":
        """This layer with each output times its factor; factors: (out,)."""
        bias = None if self.bias is None else self.bias.astype(np.float64) * factors
        return Dense(self.weight.astype(np.float64) * factors[:, None], bias)


@dataclass(frozen=True, slots=True)
class Attention:
    """Self-attention of several heads."""

    heads: int

    inputs: Dense
    """(3 * channels, channels): the queries of all heads, then keys, then values, as torch.nn.MultiheadAttention has
    them; of three separate layers `Dense.stacked`."""

    output: Dense


@dataclass(frozen=True, slots=True)
class Mlp:
    """Two linear layers, the activation between them."""

    first: Dense
    """(hidden, channels); of a gated MLP (2 * hidden, channels), what is activated first and what it is multiplied
    with second."""

    second: Dense
    """(channels, hidden)"""

    activation: str = "gelu"
    """One of `ACTIVATIONS`; 'silu' for SwiGLU."""

    is_gated: bool = False


@dataclass(frozen=True, slots=True)
class EncoderBlock:
    """One block of an encoder."""

    attention_norm: Norm
    attention: Attention
    mlp_norm: Norm
    mlp: Mlp
    attention_scale: Values | None = None
    """A LayerScale (channels,); None for none."""

    mlp_scale: Values | None = None


def make_linear(layer: Dense, dtype: str = "float32") -> Program:
    """A linear layer over the last axis of any tensor whose axes have known sizes, but for the first."""
    matrix = variable(layer.weight.T, dtype)
    bias = None if layer.bias is None else variable(layer.bias, dtype)
    columns, rows = layer.weight.shape

    def run(x: Any) -> Any:
        # One large product of matrices: with three axes TensorFlow would multiply image by image.
        flat = x if len(x.shape) == 2 else ops.reshape(x, (-1, rows))
        product = ops.matmul(flat, matrix)
        if bias is not None:
            # Not `+`: this is an operation that TensorFlow runs together with the product.
            product = ops.add(product, bias)
        return product if flat is x else ops.reshape(product, (-1, *x.shape[1:-1], columns))

    return run


def make_layer_norm(norm: Norm, dtype: str = "float32") -> Program:
    """A LayerNorm by itself."""
    weight, bias = variable(norm.weight, dtype), variable(norm.bias, dtype)
    return lambda x: standardised(x, norm.epsilon) * weight + bias


def standardised(x: Any, epsilon: float) -> Any:
    """Each token less its mean, by its standard deviation; computed in float32, given in the dtype of x."""
    wide = ops.cast(x, "float32")
    centred = wide - ops.mean(wide, axis=-1, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=-1, keepdims=True)
    return ops.cast(centred * ops.rsqrt(variance + epsilon), x.dtype)


def make_attention(attention: Attention, dtype: str = "float32") -> Block:
    """Self-attention over all tokens of each of the n."""
    channels = len(attention.inputs.weight) // 3
    heads, width = attention.heads, channels // attention.heads
    factors = np.concatenate([np.full(channels, width**-0.5), np.ones(2 * channels)])
    project = make_linear(attention.inputs.scaled(factors), dtype)
    output = make_linear(attention.output, dtype)

    def run(x: Any, rotate: Rotate | None = None) -> Any:
        count = int(x.shape[1])
        parts = ops.transpose(ops.reshape(project(x), (-1, count, 3, heads, width)), (2, 0, 3, 1, 4))
        queries, keys, values = parts[0], parts[1], parts[2]
        if rotate is not None:
            queries, keys = rotate(queries), rotate(keys)
        mixed = ops.transpose(attend(queries, keys, values), (0, 2, 1, 3))
        return output(ops.reshape(mixed, (-1, count, channels)))

    return run


def attend(queries: Any, keys: Any, values: Any, most: int = MOST_PAIRS) -> Any:
    """softmax(q k) v, all (n, heads, t, width); the factor 1/sqrt(width) is in the queries. The softmax is computed
    in float32. Of each image not more than `most` pairs of a query and a key are in memory at once."""
    heads, count = int(keys.shape[1]), int(queries.shape[2])
    step = max(1, most // (heads * int(keys.shape[2])))
    parts: list[Any] = []
    for start in range(0, count, step):
        # One after the other: TensorFlow would else hold what all of them need.
        with tf.control_dependencies(parts[-1:]):
            part = tf.identity(queries[:, :, start : start + step])
        logits = ops.matmul(part, ops.swapaxes(keys, -1, -2))
        weights = ops.softmax(ops.cast(logits, "float32"), axis=-1)
        parts.append(ops.matmul(ops.cast(weights, values.dtype), values))
    return parts[0] if len(parts) == 1 else ops.concatenate(parts, axis=2)


def make_mlp(mlp: Mlp, dtype: str = "float32") -> Program:
    """An MLP over each token."""
    first, second = make_linear(mlp.first, dtype), make_linear(mlp.second, dtype)
    activation, hidden = ACTIVATIONS[mlp.activation], mlp.second.weight.shape[1]

    def run(tokens: Any) -> Any:
        # With nothing between product, bias and activation, TensorFlow runs the three as one.
        x = first(ops.reshape(tokens, (-1, tokens.shape[-1])))
        x = activation(x[:, :hidden]) * x[:, hidden:] if mlp.is_gated else activation(x)
        return ops.reshape(second(x), (-1, *tokens.shape[1:]))

    return run


def make_block(block: EncoderBlock, dtype: str = "float32") -> Block:
    """One block of an encoder."""
    attention = make_attention(
        Attention(
            block.attention.heads,
            block.attention.inputs.after(block.attention_norm),
            _scaled(block.attention.output, block.attention_scale),
        ),
        dtype,
    )
    mlp = make_mlp(
        Mlp(
            block.mlp.first.after(block.mlp_norm),
            _scaled(block.mlp.second, block.mlp_scale),
            block.mlp.activation,
            block.mlp.is_gated,
        ),
        dtype,
    )

    def run(x: Any, rotate: Rotate | None = None) -> Any:
        x = x + attention(standardised(x, block.attention_norm.epsilon), rotate)
        return x + mlp(standardised(x, block.mlp_norm.epsilon))

    return run


def _scaled(layer: Dense, scale: Values | None) -> Dense:
    return layer if scale is None else layer.scaled(scale)
