"""Operations on tensors that heads of several kinds need, in the graph. They need Keras."""

from typing import Any

import tensorflow as tf
from keras import ops


def rows_at(values: Any, index: Any) -> Any:
    """Rows by index: values (n, rows, columns) and index (n, k), integers, to (n, k, columns).

    Copies whole rows: on a CPU that is a hundred times faster than `take_along_axis`, which copies number by number.
    A symbolic model, whose batch has no size, leaves no other choice.
    """
    batch, rows, columns = ops.shape(values)
    if batch is None:
        return ops.take_along_axis(values, ops.expand_dims(index, -1), axis=1)
    first = ops.expand_dims(ops.arange(batch, dtype="int32") * rows, 1)
    return ops.take(ops.reshape(values, (-1, columns)), ops.cast(index, "int32") + first, axis=0)


def best_classes(scores: Any) -> Any:
    """The class with the highest score, (..., C) to int32 (...); the first of equals.

    Two vectorized passes: on a CPU `argmax` takes ten times as long.
    """
    count = int(scores.shape[-1])
    numbers = ops.arange(count, dtype="int32")
    peaks = ops.max(scores, axis=-1, keepdims=True)
    # Nothing equals a peak that is not a number. Any class will do then, but it must be a valid one.
    return ops.min(ops.where(scores >= peaks, numbers, count - 1), axis=-1)


def classes_of_all(scores: Any) -> Any:
    """As `best_classes`, of many rows that are no symbols: TensorFlow's own `argmax` reads them once. That of Keras
    takes ten times as long, as it looks for negative zeros."""
    return tf.argmax(scores, axis=-1, output_type=tf.int32)


def with_fractions_added(canvases: Any) -> Any:
    """Canvases (n, 2 * rows, columns, 3), floats, whose lower half has 256ths of the units of the upper one, to
    (n, rows, columns, 3)."""
    rows = int(canvases.shape[1]) // 2
    return canvases[:, :rows] + canvases[:, rows:] / 256
