"""The runtime of ONNX graphs: runs a family's file in ONNX Runtime.

On a GPU where ONNX Runtime was built for one (the package `onnxruntime-gpu`) and the replica was given one; else on
the CPU, with the threads of the replica.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.errors import ModelUnavailable
from deployments.families.contract import Family, Outputs
from deployments.families.shared.optional_package import optional_package
from deployments.logs import OWN_LOGGER
from deployments.process.wake_times import WakeTimes
from deployments.runtimes import Resources, padded_size

logger = logging.getLogger(OWN_LOGGER)

_ERRORS_ONLY = 3
_CPU = "CPUExecutionProvider"
_CUDA = "CUDAExecutionProvider"


class Program(Protocol):
    """What a family gives to this runtime."""

    file_name: str
    content: bytes

    @property
    def batch(self) -> int | None:
        """The only batch size that the graph takes, None for any."""
        ...

    def feed(self, canvases: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """A batch of canvases as the graph's input by name."""
        ...

    def read(self, named: Mapping[str, NDArray[Any]]) -> Outputs:
        """The outputs that count, with their batch axis. Raises ModelUnavailable for others than declared."""
        ...

    def check_empty(self, outputs: Outputs) -> None:
        """Looks at what came of empty images. Raises ModelUnavailable for other numbers than declared."""
        ...


class OnnxRuntime:
    """Runs one graph. Raises ModelUnavailable when it cannot be opened or run."""

    def __init__(self, resources: Resources) -> None:
        self._onnxruntime = optional_package("onnxruntime")
        self._threads = resources.cpu_threads
        self._session: Any = None
        self._program: Any = None
        self._batch_sizes: tuple[int, ...] = (1,)
        self._pads = False

    def load(self, family: Family[Any], batch_sizes: Sequence[int], times: WakeTimes | None = None) -> None:
        """Opens the graph and runs every batch size once, so that no request pays for its preparation."""
        times = times or WakeTimes()
        with times.part("graph"):
            program: Program = family.build_graph()
        try:
            with times.part("graph"):
                self._session = self._open(program.content)
            provider = self._session.get_providers()[0]
            self._program = program
            self._batch_sizes = tuple(batch_sizes) if program.batch is None else (program.batch,)
            # A GPU chooses its kernels for each shape anew; a CPU does not, and an empty image costs a full one.
            self._pads = program.batch is not None or provider != _CPU
            logger.info("%s runs on %s", program.file_name, provider)
            with times.part("first batches"):
                for size in self._batch_sizes:
                    program.check_empty(self._run(np.zeros((size, *family.canvas_px, 3), np.uint8)))
        except ModelUnavailable:
            raise
        except Exception as error:
            # ONNX Runtime has a type for each kind of failure, with Exception as their only common base.
            raise ModelUnavailable(f"{program.file_name}: ONNX Runtime cannot run it: {str(error)[:300]}") from error

    def infer(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        """One output tuple for each canvas; all canvases have the family's shape."""
        results: list[Outputs] = []
        most = self._batch_sizes[-1]
        for start in range(0, len(canvases), most):
            chunk = canvases[start : start + most]
            size = padded_size(len(chunk), self._batch_sizes) if self._pads else len(chunk)
            batch = np.zeros((size, *chunk[0].shape), np.uint8)
            batch[: len(chunk)] = chunk
            outputs = self._run(batch)
            results.extend(tuple(output[row] for output in outputs) for row in range(len(chunk)))
        return results

    def _open(self, content: bytes) -> Any:
        onnxruntime = self._onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # Threads that spin while they wait take the cores from the replicas beside this one.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        has_gpu = _CUDA in onnxruntime.get_available_providers() and os.environ.get("CUDA_VISIBLE_DEVICES") != ""
        return onnxruntime.InferenceSession(content, options, providers=[_CUDA, _CPU] if has_gpu else [_CPU])

    def _run(self, batch: NDArray[np.uint8]) -> Outputs:
        values = self._session.run(None, self._program.feed(batch))
        names = [output.name for output in self._session.get_outputs()]
        outputs: Outputs = self._program.read(dict(zip(names, values, strict=True)))
        if any(len(output) != len(batch) for output in outputs):
            raise ModelUnavailable(
                f"{self._program.file_name}: answers {[len(output) for output in outputs]} rows for a batch of "
                f"{len(batch)}; export it with a dynamic batch, or with one of 1"
            )
        return outputs
