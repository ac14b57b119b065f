"""Blocks of a transformer against the formulas of its layers, written out in numpy in float64."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

CHANNELS, HEADS, HIDDEN = 12, 3, 20


def drawn(*shape: int, seed: int) -> NDArray[Any]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def block_weights(gated: bool = False, scales: bool = True, biases: bool = True) -> Any:
    from deployments.families.shared.transformer import Attention, Dense, EncoderBlock, Mlp, Norm

    def dense(out: int, into: int, seed: int) -> Dense:
        return Dense(drawn(out, into, seed=seed), drawn(out, seed=seed + 50) if biases else None)

    inputs = Dense.stacked([dense(CHANNELS, CHANNELS, 1), dense(CHANNELS, CHANNELS, 2), dense(CHANNELS, CHANNELS, 3)])
    first = Dense.stacked([dense(HIDDEN, CHANNELS, 4 + part) for part in range(1 + gated)])
    return EncoderBlock(
        Norm(drawn(CHANNELS, seed=10), drawn(CHANNELS, seed=11), 1e-6),
        Attention(HEADS, inputs, dense(CHANNELS, CHANNELS, 6)),
        Norm(drawn(CHANNELS, seed=12), drawn(CHANNELS, seed=13), 1e-3),
        Mlp(first, dense(CHANNELS, HIDDEN, 7), "silu" if gated else "gelu", gated),
        drawn(CHANNELS, seed=14) if scales else None,
        drawn(CHANNELS, seed=15) if scales else None,
    )


def by_hand(x: NDArray[Any], block: Any) -> NDArray[Any]:
    """What the block is to give for tokens (t, channels)."""

    def linear(values: NDArray[Any], layer: Any) -> NDArray[Any]:
        shift = 0 if layer.bias is None else layer.bias
        return np.asarray(values @ layer.weight.T.astype(np.float64) + shift)

    def norm(values: NDArray[Any], layer: Any) -> NDArray[Any]:
        centred = values - values.mean(-1, keepdims=True)
        variance = (centred**2).mean(-1, keepdims=True)
        return np.asarray(centred / np.sqrt(variance + layer.epsilon) * layer.weight + layer.bias)

    queries, keys, values = np.split(linear(norm(x, block.attention_norm), block.attention.inputs), 3, axis=-1)
    width, mixed = CHANNELS // HEADS, []
    for head in range(HEADS):
        part = slice(head * width, (head + 1) * width)
        powers = np.exp(queries[:, part] @ keys[:, part].T / math.sqrt(width))
        mixed.append(powers / powers.sum(-1, keepdims=True) @ values[:, part])
    branch = linear(np.concatenate(mixed, axis=-1), block.attention.output)
    x = x + branch * (1 if block.attention_scale is None else block.attention_scale)
    hidden = linear(norm(x, block.mlp_norm), block.mlp.first)
    if block.mlp.is_gated:
        gate, up = np.split(hidden, 2, axis=-1)
        hidden = gate / (1 + np.exp(-gate)) * up
    else:
        hidden = hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2)))
    branch = linear(hidden, block.mlp.second)
    return np.asarray(x + branch * (1 if block.mlp_scale is None else block.mlp_scale))


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("scales", [False, True])
@pytest.mark.parametrize("biases", [False, True])
def test_a_block_is_what_its_layers_are(gated: bool, scales: bool, biases: bool) -> None:
    from deployments.families.shared.transformer import make_block

    block, tokens = block_weights(gated, scales, biases), drawn(3, 7, CHANNELS, seed=20)
    found = np.asarray(make_block(block)(tokens, None))
    for ours, x in zip(found, tokens.astype(np.float64), strict=True):
        np.testing.assert_allclose(ours, by_hand(x, block), rtol=1e-3, atol=1e-3)


def test_half_precision_stays_near_and_in_its_type() -> None:
    from keras import ops

    from deployments.families.shared.transformer import make_block

    block, tokens = block_weights(), drawn(2, 5, CHANNELS, seed=21)
    exact = np.asarray(make_block(block)(tokens, None))
    half = make_block(block, "bfloat16")(ops.cast(tokens, "bfloat16"), None)
    assert half.dtype.name == "bfloat16"
    assert np.abs(np.asarray(ops.cast(half, "float32")) - exact).mean() < 0.02 * np.abs(exact).mean()


def test_a_batch_of_unknown_size_in_a_compiled_function() -> None:
    import tensorflow as tf

    from deployments.families.shared.transformer import make_block

    run = make_block(block_weights())
    program = tf.function(lambda x: run(x, None), input_signature=[tf.TensorSpec((None, 4, CHANNELS))])
    tokens = drawn(5, 4, CHANNELS, seed=22)
    np.testing.assert_allclose(program(tokens)[3:4], program(tokens[3:4]), rtol=1e-5, atol=1e-5)


def test_queries_and_keys_are_turned_and_values_are_not() -> None:
    from deployments.families.shared.transformer import make_attention

    weights, tokens = block_weights().attention, drawn(1, 6, CHANNELS, seed=23)
    seen: list[tuple[int, ...]] = []

    def rotate(x: Any) -> Any:
        seen.append(tuple(x.shape))
        return x * 0

    found = np.asarray(make_attention(weights)(tokens, rotate))[0]
    assert seen == [(1, HEADS, 6, CHANNELS // HEADS)] * 2
    # Without queries and keys, each token gets the mean of all values.
    assert np.ptp(found, axis=0).max() < 1e-5


def test_layers_with_and_without_bias_can_be_one() -> None:
    from deployments.families.shared.transformer import Dense

    joined = Dense.stacked([Dense(np.ones((2, 3)), np.ones(2)), Dense(np.ones((2, 3)))])
    assert joined.bias is not None
    np.testing.assert_array_equal(joined.bias, [1, 1, 0, 0])
    assert Dense.stacked([Dense(np.ones((2, 3)))] * 2).bias is None


def test_positions_for_the_same_patches_are_the_same_and_those_of_a_plane_stay_one() -> None:
    from deployments.families.shared.position_table import resized_positions

    table = drawn(5, 7, 4, seed=24)
    for is_antialiased in (False, True):
        np.testing.assert_allclose(resized_positions(table, (5, 7), is_antialiased), table, atol=1e-6)
        level = resized_positions(np.full((5, 7, 2), 3.0), (9, 2), is_antialiased)
        assert level.shape == (9, 2, 2)
        np.testing.assert_allclose(level, 3.0)


@pytest.mark.parametrize("most", [1, HEADS * 7 * 3, HEADS * 7 * 10])
def test_attention_in_parts_is_that_of_the_whole(most: int) -> None:
    import tensorflow as tf

    from deployments.families.shared.transformer import attend

    queries, keys, values = (drawn(2, HEADS, count, 4, seed=count) for count in (10, 7, 7))
    logits = queries.astype(np.float64) @ keys.transpose(0, 1, 3, 2)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    wanted = weights / weights.sum(-1, keepdims=True) @ values
    program = tf.function(lambda: attend(*(tf.constant(one) for one in (queries, keys, values)), most))
    np.testing.assert_allclose(program(), wanted, rtol=1e-5, atol=1e-6)
