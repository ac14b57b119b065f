"""The table of runtimes, and the contract that each fulfils: it runs a family's graph, batch by batch.

A runtime knows devices, threads and compilation. It may not know what the tensors mean, nor Ray, nor a door.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Family, Outputs
from deployments.process.wake_times import WakeTimes


@dataclass(frozen=True, slots=True)
class Resources:
    """What the replica was given. cpu_threads: threads of one batch.  batches_at_once: how many may run together.
    is_side_by_side: whether each of them has cores of its own.  memory_limit_mib: of each GPU; None for as much as
    there is."""

    cpu_threads: int = 1
    batches_at_once: int = 1
    is_side_by_side: bool = False
    memory_limit_mib: int | None = None


class Runtime(Protocol):
    """Runs batches, as many at once as its Resources say, each called from a thread of its own."""

    def load(self, family: Family[Any], batch_sizes: Sequence[int], times: WakeTimes | None = None) -> None:
        """Builds the graph and compiles every batch size, so that no request pays for it.

        times: notes what the graph and the first batches cost.
        """
        ...

    def infer(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        """One output tuple for each canvas (uint8 RGB, height x width x 3), in order."""
        ...


RUNTIMES: dict[str, str] = {
    "tensorflow": "deployments.runtimes.tensorflow_graph:TensorFlowRuntime",
    "onnx": "deployments.runtimes.onnx_session:OnnxRuntime",
    "callable": "deployments.runtimes.plain_callable:CallableRuntime",
}


def load_runtime(name: str, resources: Resources) -> Runtime:
    """The runtime of this name; its libraries are imported only now."""
    module, _, attribute = RUNTIMES[name].partition(":")
    runtime: Runtime = getattr(import_module(module), attribute)(resources)
    return runtime


def batch_sizes_up_to(largest: int) -> tuple[int, ...]:
    """The sizes that are compiled: powers of two below `largest`, and `largest` itself."""
    sizes = [1]
    while sizes[-1] * 2 < largest:
        sizes.append(sizes[-1] * 2)
    return tuple(dict.fromkeys([*sizes, largest]))


def padded_size(count: int, batch_sizes: Sequence[int]) -> int:
    """The smallest compiled size that holds `count` images; the largest when none does."""
    return next((size for size in batch_sizes if size >= count), batch_sizes[-1])
