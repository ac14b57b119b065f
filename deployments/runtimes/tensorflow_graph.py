"""The TensorFlow runtime: compiles a family's Keras graph for each batch size and runs it. Knows no family.

TensorFlow is set up before its first operation: memory grows as needed, since several replicas may share a
GPU, and the thread counts are those of the replica, since several replicas share the cores.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from deployments.families.contract import Family, Outputs
from deployments.runtimes import Resources, padded_size

logger = logging.getLogger(__name__)

Shape = tuple[int, ...]


class TensorFlowRuntime:
    """Runs one graph. A canvas shape that was not compiled when loading is traced at its first use."""

    def __init__(self, resources: Resources) -> None:
        for device in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(device, True)
        tf.config.threading.set_intra_op_parallelism_threads(resources.cpu_threads)
        tf.config.threading.set_inter_op_parallelism_threads(resources.batches_at_once)
        self._graph: Any = None
        self._batch_sizes: tuple[int, ...] = (1,)
        self._programs: dict[Shape, Callable[[Any], Sequence[Any]]] = {}

    def load(self, family: Family, batch_sizes: Sequence[int]) -> None:
        """Builds the graph and compiles it for every batch size at the family's canvas."""
        self._graph = family.build_graph()
        self._batch_sizes = tuple(batch_sizes)
        for size in self._batch_sizes:
            self._run(np.zeros((size, *family.canvas_px, 3), np.uint8))

    def infer(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        """One output tuple for each canvas; canvases of one shape run together, padded to a compiled size."""
        by_shape: dict[Shape, list[int]] = defaultdict(list)
        for index, canvas in enumerate(canvases):
            by_shape[canvas.shape].append(index)
        results: dict[int, Outputs] = {}
        for shape, indices in by_shape.items():
            for start in range(0, len(indices), self._batch_sizes[-1]):
                chunk = indices[start : start + self._batch_sizes[-1]]
                batch = np.zeros((padded_size(len(chunk), self._batch_sizes), *shape), np.uint8)
                for row, index in enumerate(chunk):
                    batch[row] = canvases[index]
                outputs = self._run(batch)
                results.update({index: tuple(output[row] for output in outputs) for row, index in enumerate(chunk)})
        return [results[index] for index in range(len(canvases))]

    def _run(self, batch: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        program = self._programs.get(batch.shape)
        if program is None:
            logger.info("compiling for batches of shape %s", batch.shape)
            signature = tf.TensorSpec(batch.shape, tf.uint8)
            program = tf.function(self._call_graph, autograph=False).get_concrete_function(signature)
            self._programs[batch.shape] = program
        return tuple(output.numpy() for output in program(tf.constant(batch)))

    def _call_graph(self, batch: Any) -> Any:
        return self._graph(batch, training=False)
