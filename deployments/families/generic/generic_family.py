"""What the generic families share: the declared signature, labels, resizing, and the meaning of outputs.

Each file format is a subclass. When made, it reads the file's input and labels without running anything in the file;
it builds the program when asked.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.generic.generic_input import TensorFacts, plan_input
from deployments.families.generic.generic_outputs import class_scores, keep_best
from deployments.families.generic.generic_signature import GenericParameters
from deployments.families.shared.definition_checks import needed_weights, read_parameters
from deployments.families.shared.detections import detections_of
from deployments.families.shared.resize import CanvasGeometry, Resize
from deployments.prediction import ClassScores, Result


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file says about its network."""

    input: TensorFacts

    labels: tuple[str, ...] | None = None
    """None where it names no classes."""

    canvas_px: tuple[int, int] | None = None
    """The intended height and width of an input of any size; None where it does not say."""


class GenericFamily:
    """Base of the generic families. Raises ModelUnavailable when file, labels, canvas or parameters disagree."""

    parameters_type: type[GenericParameters] = GenericParameters

    def __init__(self, definition: ModelDefinition) -> None:
        self.path: Path = needed_weights(definition, "a model")
        self.parameters = read_parameters(definition, self.parameters_type)
        facts = self.read_facts()
        labels = definition.labels or facts.labels
        if labels is None:
            raise ModelUnavailable(f"{self.path.name} names no classes, so the definition needs `labels`")
        self.labels: tuple[str, ...] = labels
        try:
            self.input_plan = plan_input(facts.input, self.parameters, definition.canvas_px, facts.canvas_px)
        except ModelUnavailable as error:
            raise ModelUnavailable(f"{self.path.name}: {error.message}") from error
        self.canvas_px = self.input_plan.canvas_px
        self.input_px = self.canvas_px
        self._resize = Resize(
            self.parameters.resize_mode, self.canvas_px, self.parameters.interpolation, self.parameters.crop_ratio
        )

    def read_facts(self) -> FileFacts:
        """The input and the labels of the file at `path`, which is checked and not run."""
        raise NotImplementedError

    def build_graph(self) -> Any:
        """The program, as the family's runtime takes it."""
        raise NotImplementedError

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[CanvasGeometry]:
        """uint8 RGB (height, width, 3) onto the canvas; the arithmetic on pixels is done by the program."""
        return Prepared(*self._resize.apply(pixels))

    def postprocess(self, outputs: Outputs, geometry: CanvasGeometry, thresholds: Thresholds) -> Result:
        """Detections in pixels of the client's image, best first; or all scores of a classifier, whatever the
        thresholds, in the order of the labels."""
        if self.parameters.task == "classifier":
            return ClassScores(class_scores(outputs, self.parameters), self.labels)
        found = keep_best(outputs, self.parameters, self.canvas_px, thresholds, self.labels)
        return detections_of(geometry.to_image(found.boxes), found.scores, found.class_ids, self.labels)
