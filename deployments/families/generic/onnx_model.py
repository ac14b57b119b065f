"""ONNX models: detectors and classifiers whose signature the definition declares.

Files exported by ultralytics, with and without NMS inside, carry their class names; see docs/models.md for what
to declare of them. The graph is run by ONNX Runtime, an extra.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs
from deployments.families.generic.generic_family import FileFacts, GenericFamily
from deployments.families.generic.generic_input import InputPlan
from deployments.families.generic.generic_outputs import check_shapes, check_values
from deployments.families.generic.generic_signature import GenericParameters, pick_outputs
from deployments.families.generic.onnx_file import read_onnx


@dataclass(frozen=True, slots=True)
class OnnxProgram:
    """What the runtime `onnx` runs."""

    file_name: str

    content: bytes
    """The checked file."""

    plan: InputPlan
    parameters: GenericParameters
    class_count: int

    @property
    def batch(self) -> int | None:
        """The only batch size that the network takes, None for any."""
        return self.plan.batch

    def feed(self, canvases: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        """uint8 RGB (n, height, width, 3) as the network's input."""
        plan = self.plan
        pixels = canvases[..., ::-1] if plan.reverses_channels else canvases
        gain, offset = plan.gain, plan.offset
        if plan.layout == "nchw":
            # Moved while they are bytes, and multiplied row by row: a tenth of the time of the other order.
            pixels = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
            gain, offset = gain[:, None, None], offset[:, None, None]
        values: NDArray[Any] = pixels
        if not plan.is_plain:
            values = np.multiply(pixels, gain, dtype=np.float32)
            if offset.any():
                values += offset
        return {plan.facts.name: np.ascontiguousarray(values, plan.facts.dtype)}

    def read(self, named: Mapping[str, NDArray[Any]]) -> Outputs:
        """The declared outputs, with their batch axis, in the order in which they are decoded.

        Raises ModelUnavailable when they are not what was declared.
        """
        try:
            outputs = pick_outputs(named, self.parameters)
            check_shapes(tuple((1, *output.shape[1:]) for output in outputs), self.parameters, self.class_count)
        except ModelUnavailable as error:
            raise ModelUnavailable(f"{self.file_name}: {error.message}") from error
        return outputs

    def check_empty(self, outputs: Outputs) -> None:
        """Looks at the outputs, with their batch axis, for images in which nothing is.

        Raises ModelUnavailable when their numbers are not what was declared.
        """
        try:
            check_values(tuple(output[0] for output in outputs), self.parameters, self.plan.canvas_px)
        except ModelUnavailable as error:
            raise ModelUnavailable(f"{self.file_name}: {error.message}") from error


class OnnxModel(GenericFamily):
    """The family of ONNX files; its runtime is `onnx`."""

    def read_facts(self) -> FileFacts:
        """The input, and class names and canvas where the file carries them."""
        found = read_onnx(self.path)
        return FileFacts(found.input, found.labels, found.canvas_px)

    def build_graph(self) -> OnnxProgram:
        """The file's bytes with what goes in and comes out; the runtime tries it."""
        content = read_onnx(self.path).content
        return OnnxProgram(self.path.name, content, self.input_plan, self.parameters, len(self.labels))
