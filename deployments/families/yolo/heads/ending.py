"""The end of a detector: from the outputs of its graph for one image to detections, with what its head finds besides.

An ending says which of the candidates are kept, and finishes those alone. The graph gives boxes (k, ...), scores (k,)
and classes (k,), then what the ending knows to read. This one is of heads that find upright boxes and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Outputs
from deployments.families.shared.detections import detections_of
from deployments.families.shared.letterbox import Letterbox
from deployments.families.shared.nms import Suppression, suppress
from deployments.prediction import Detections


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies on its canvas, and what the classes are called."""

    geometry: Letterbox

    to_image: Callable[[NDArray[Any], Letterbox], NDArray[np.float32]]
    """Boxes (n, 4) from canvas to image pixels, clipped, as the family maps them."""

    labels: tuple[str, ...]


class Ending:
    """Upright boxes: boxes are (k, 4) x1 y1 x2 y2 in canvas pixels."""

    def kept(self, outputs: Outputs, rule: Suppression) -> NDArray[np.intp]:
        """The indices of the candidates that are answered, best first."""
        boxes, scores, classes = outputs[:3]
        return suppress(boxes, scores, classes, rule)

    def detections(self, outputs: Outputs, kept: NDArray[np.intp], place: Place) -> Detections:
        """Those candidates in pixels of the client's image."""
        boxes, scores, classes = outputs[:3]
        # As the references: a box in the border stays, clipped to a line.
        return detections_of(place.to_image(boxes[kept], place.geometry), scores[kept], classes[kept], place.labels)
