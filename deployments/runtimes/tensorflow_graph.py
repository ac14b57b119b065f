"""The TensorFlow runtime: compiles a family's Keras graph and runs it.

TensorFlow is set up before its first operation: memory grows as needed, or has a limit, since several replicas may
share a GPU, and the thread counts are those of the replica, since several replicas share the cores.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from deployments.errors import ModelUnavailable
from deployments.families.contract import Family, Outputs
from deployments.logs import OWN_LOGGER
from deployments.process.wake_times import WakeTimes
from deployments.runtimes import Resources, padded_size

logger = logging.getLogger(OWN_LOGGER)

Shape = tuple[int | None, ...]


def set_up_gpus(config: Any, devices: Sequence[Any], memory_limit_mib: int | None) -> None:
    """Before the first operation: memory that grows as needed, or at most `memory_limit_mib` on each GPU.

    config: `tf.config`.  devices: its physical GPUs. Raises ModelUnavailable when there is no GPU to limit, or when
    TensorFlow has not taken the limit.
    """
    if memory_limit_mib is None:
        for device in devices:
            config.experimental.set_memory_growth(device, True)
        return
    if not devices:
        raise ModelUnavailable(f"memory_limit_mib: {memory_limit_mib}: TensorFlow sees no GPU whose memory it limits")
    for device in devices:
        config.set_logical_device_configuration(
            device, [config.LogicalDeviceConfiguration(memory_limit=memory_limit_mib)]
        )
    # This creates the devices, after which the limit cannot change any more.
    config.list_logical_devices("GPU")
    for device in devices:
        kept = [one.memory_limit for one in config.get_logical_device_configuration(device) or []]
        if kept != [memory_limit_mib]:
            raise ModelUnavailable(f"memory_limit_mib: {memory_limit_mib}: TensorFlow has {kept} for {device.name}")


class TensorFlowRuntime:
    """Runs one graph. A canvas shape that was not compiled when loading is traced at its first use.

    A GPU chooses its kernels anew for each size of a batch, so that batches are filled up to a few sizes. A CPU does
    not, and an empty image costs it a full one: one program takes batches of any size.
    """

    def __init__(self, resources: Resources) -> None:
        devices = tf.config.list_physical_devices("GPU")
        set_up_gpus(tf.config, devices, resources.memory_limit_mib)
        tf.config.threading.set_intra_op_parallelism_threads(resources.cpu_threads)
        tf.config.threading.set_inter_op_parallelism_threads(resources.batches_at_once)
        self._pads = bool(devices)
        self._graph: Any = None
        self._batch_sizes: tuple[int, ...] = (1,)
        self._programs: dict[Shape, Callable[[Any], Sequence[Any]]] = {}

    def load(self, family: Family[Any], batch_sizes: Sequence[int], times: WakeTimes | None = None) -> None:
        """Builds the graph, compiles it at the family's canvas, and runs every size that it is compiled for; of a
        program for any size the smallest and the largest."""
        times = times or WakeTimes()
        with times.part("graph"):
            self._graph = family.build_graph()
        with times.part("first batches"):
            self._run_first(family, batch_sizes)

    def _run_first(self, family: Family[Any], batch_sizes: Sequence[int]) -> None:
        self._batch_sizes = tuple(batch_sizes)
        self._pads = self._pads or not self._takes_any_size(family.canvas_px)
        sizes = self._batch_sizes if self._pads else sorted({1, self._batch_sizes[-1]})
        for size in sizes:
            self._run(np.zeros((size, *family.canvas_px, 3), np.uint8))

    def infer(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        """One output tuple for each canvas; canvases of one shape run together."""
        by_shape: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, canvas in enumerate(canvases):
            by_shape[canvas.shape].append(index)
        results: dict[int, Outputs] = {}
        for shape, indices in by_shape.items():
            for start in range(0, len(indices), self._batch_sizes[-1]):
                chunk = indices[start : start + self._batch_sizes[-1]]
                size = padded_size(len(chunk), self._batch_sizes) if self._pads else len(chunk)
                batch = np.zeros((size, *shape), np.uint8)
                for row, index in enumerate(chunk):
                    batch[row] = canvases[index]
                outputs = self._run(batch)
                results.update({index: tuple(output[row] for output in outputs) for row, index in enumerate(chunk)})
        return [results[index] for index in range(len(canvases))]

    def _takes_any_size(self, canvas_px: tuple[int, int]) -> bool:
        """Whether the graph can be compiled for a batch of unknown size; not every file of a user's can."""
        try:
            self._program((None, *canvas_px, 3))
        except (TypeError, ValueError, tf.errors.OpError) as error:
            logger.info("one program for each size of a batch: %s", str(error)[:200])
            return False
        return True

    def _run(self, batch: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
        program = self._program(batch.shape if self._pads else (None, *batch.shape[1:]))
        return tuple(output.numpy() for output in program(tf.constant(batch)))

    def _program(self, shape: Shape) -> Callable[[Any], Sequence[Any]]:
        program = self._programs.get(shape)
        if program is None:
            logger.info("compiling for batches of shape %s", shape)
            signature = tf.TensorSpec(shape, tf.uint8)
            program = tf.function(self._call_graph, autograph=False).get_concrete_function(signature)
            self._programs[shape] = program
        return program

    def _call_graph(self, batch: Any) -> Any:
        return self._graph(batch, training=False)
