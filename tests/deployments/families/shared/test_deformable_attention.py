"""Deformable attention against loops over every query, head and place, on one level and on two."""

from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.families.shared.deformable_attention import DeformableAttention
from deployments.families.shared.transformer import Dense, make_linear

HEADS, POINTS, CHANNELS, QUERIES = 2, 3, 8, 5


class Weights(NamedTuple):
    """Of the four layers."""

    offsets: Dense
    weights: Dense
    values: Dense
    output: Dense

    def attention(self) -> DeformableAttention:
        return DeformableAttention(HEADS, POINTS, *map(make_linear, self))


def sampled(values: NDArray[Any], x: float, y: float) -> NDArray[Any]:
    """The map (rows, columns, channels) at a place in parts of its sides; zero outside."""
    rows, columns, channels = values.shape
    column, row = x * columns - 0.5, y * rows - 0.5
    total = np.zeros(channels)
    for r in (int(np.floor(row)), int(np.floor(row)) + 1):
        for c in (int(np.floor(column)), int(np.floor(column)) + 1):
            if 0 <= r < rows and 0 <= c < columns:
                total += (1 - abs(row - r)) * (1 - abs(column - c)) * values[r, c]
    return total


def expected(weights: Weights, inputs: tuple[Any, Any, Any], sizes: list[tuple[int, int]]) -> NDArray[Any]:
    queries, boxes, memory = inputs
    width = CHANNELS // HEADS
    values = linear(weights.values, memory)
    shape = (HEADS, len(sizes), POINTS)
    answers = []
    for query, box in zip(queries, boxes, strict=True):
        offsets = linear(weights.offsets, query).reshape(*shape, 2)
        logits = np.exp(linear(weights.weights, query).reshape(HEADS, -1))
        shares = (logits / logits.sum(axis=1, keepdims=True)).reshape(shape)
        total = np.zeros((HEADS, width))
        first = 0
        for level, (rows, columns) in enumerate(sizes):
            of_level = values[first : first + rows * columns].reshape(rows, columns, HEADS, width)
            first += rows * columns
            for head in range(HEADS):
                for point in range(POINTS):
                    x, y = box[:2] + offsets[head, level, point] / POINTS * box[2:] * 0.5
                    total[head] += shares[head, level, point] * sampled(of_level[:, :, head], x, y)
        answers.append(linear(weights.output, total.reshape(-1)))
    return np.array(answers)


def linear(layer: Dense, x: NDArray[Any]) -> NDArray[Any]:
    assert layer.bias is not None
    return np.asarray(x @ layer.weight.T + layer.bias)


@pytest.mark.parametrize("sizes", [[(6, 4)], [(6, 4), (3, 2)]])
def test_it_looks_where_the_loops_look(sizes: list[tuple[int, int]]) -> None:
    import tensorflow as tf

    rng = np.random.default_rng(3)
    places = HEADS * POINTS * len(sizes)

    def dense(outputs: int, scale: float = 1.0) -> Dense:
        return Dense(scale * rng.standard_normal((outputs, CHANNELS)), rng.standard_normal(outputs))

    weights = Weights(dense(2 * places, 2.0), dense(places), dense(CHANNELS), dense(CHANNELS))
    pixels = sum(rows * columns for rows, columns in sizes)
    queries, memory = rng.standard_normal((2, QUERIES, CHANNELS)), rng.standard_normal((2, pixels, CHANNELS))
    boxes = np.concatenate([rng.uniform(-0.1, 1.1, (2, QUERIES, 2)), rng.uniform(0.1, 2.0, (2, QUERIES, 2))], axis=-1)
    found = weights.attention()(*(tf.constant(one, tf.float32) for one in (queries, boxes, memory)), sizes)
    for image in range(2):
        wanted = expected(weights, (queries[image], boxes[image], memory[image]), sizes)
        np.testing.assert_allclose(found[image], wanted, atol=1e-4)


def test_places_far_outside_or_that_are_no_numbers_read_nothing() -> None:
    import tensorflow as tf

    rng = np.random.default_rng(3)
    same = Dense(np.eye(CHANNELS), np.zeros(CHANNELS))
    places = HEADS * POINTS
    offsets = Dense(np.zeros((2 * places, CHANNELS)), np.zeros(2 * places))
    weights = Weights(offsets, Dense(np.zeros((places, CHANNELS)), np.zeros(places)), same, same)
    boxes = np.full((1, QUERIES, 4), 1e30)
    boxes[0, 1], boxes[0, 2], boxes[0, 3] = -1e30, np.inf, np.nan
    boxes[0, 4] = 0.5
    memory = tf.constant(rng.standard_normal((1, 24, CHANNELS)), tf.float32)
    found = np.asarray(
        weights.attention()(tf.zeros((1, QUERIES, CHANNELS)), tf.constant(boxes, tf.float32), memory, [(6, 4)])
    )[0]
    assert (found[:2] == 0).all()
    assert np.abs(found[4]).min() > 0
