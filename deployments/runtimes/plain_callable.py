"""The runtime of graphs that are plain Python functions on numpy arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Family, Outputs
from deployments.process.wake_times import WakeTimes
from deployments.runtimes import Resources


class CallableRuntime:
    """Calls the family's function on the stacked batch."""

    def __init__(self, resources: Resources) -> None:
        del resources
        self._graph: Any = None

    def load(self, family: Family[Any], batch_sizes: Sequence[int], times: WakeTimes | None = None) -> None:
        """Keeps the function; any batch size will do."""
        del batch_sizes, times
        self._graph = family.build_graph()

    def infer(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        """One output tuple for each canvas."""
        outputs = self._graph(np.stack(canvases))
        return [tuple(output[index] for output in outputs) for index in range(len(canvases))]
