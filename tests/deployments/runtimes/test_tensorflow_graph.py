"""The TensorFlow runtime without a GPU: a batch runs at its own size, and a graph that cannot do so is helped."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from deployments.process.wake_times import WakeTimes
from deployments.runtimes import Runtime, batch_sizes_up_to

CANVAS_PX = (4, 6)


def loaded(runtime: Runtime, graph: Any) -> Runtime:
    family: Any = SimpleNamespace(canvas_px=CANVAS_PX, build_graph=lambda: graph)
    runtime.load(family, batch_sizes_up_to(4))
    return runtime


def canvases(count: int) -> list[NDArray[np.uint8]]:
    return [np.full((*CANVAS_PX, 3), number, np.uint8) for number in range(count)]


def with_size(batch: Any) -> tuple[Any, ...]:
    """For each image its first value, and how many images were computed together."""
    size = tf.shape(batch)[0]
    return batch[:, 0, 0, 0], tf.fill((size,), size)


def test_a_batch_is_as_large_as_it_is(runtime: Runtime) -> None:
    loaded(runtime, lambda batch, training: with_size(batch))
    for count in (1, 2, 3, 4):
        assert [tuple(map(int, one)) for one in runtime.infer(canvases(count))] == [(n, count) for n in range(count)]


def test_more_than_the_largest_batch_is_cut(runtime: Runtime) -> None:
    found = loaded(runtime, lambda batch, training: with_size(batch)).infer(canvases(7))
    assert [tuple(map(int, one)) for one in found] == [(n, 4) for n in range(4)] + [(n, 3) for n in (4, 5, 6)]


def test_a_graph_that_must_know_the_size_gets_one_of_a_few(runtime: Runtime) -> None:
    def graph(batch: Any, training: bool) -> tuple[Any, ...]:
        if batch.shape[0] is None:
            raise ValueError("how many?")
        return with_size(batch)

    found = loaded(runtime, graph).infer(canvases(3))
    assert [tuple(map(int, one)) for one in found] == [(0, 4), (1, 4), (2, 4)]


def test_what_a_start_costs_is_noted_by_part(runtime: Runtime) -> None:
    times = WakeTimes()
    family: Any = SimpleNamespace(canvas_px=CANVAS_PX, build_graph=lambda: lambda batch, training: (batch,))
    runtime.load(family, [1], times)
    assert list(times.parts_s) == ["graph", "first batches"]
