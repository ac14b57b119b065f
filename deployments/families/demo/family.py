"""The family of `benthic-demo`: a small detector, trained on drawings, for trying the system.

Knows how its canvas, graph and candidates become detections; knows nothing of Ray, batching or
doors. Keras is imported only when the graph is built. See `MODEL_CARD.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.demo import weights_file
from deployments.families.shared.detections import detections_of, have_area, rule_of
from deployments.families.shared.letterbox import Letterbox, letterbox
from deployments.families.shared.nms import suppress
from deployments.prediction import Detections

CANVAS_PX = (384, 640)
"""Height and width of the input the weights are trained for."""

SHIPPED_WEIGHTS = Path(__file__).parent / "benthic-demo.npz"
"""The weights in the repository."""

_LARGEST_STRIDE_PX = 32


class Definition(Protocol):
    """What this family reads of a `ModelDefinition`; None stands for its own value."""

    @property
    def weights_path(self) -> Path | None: ...  # noqa: D102

    @property
    def labels(self) -> tuple[str, ...] | None: ...  # noqa: D102

    @property
    def canvas_px(self) -> tuple[int, int] | None: ...  # noqa: D102

    @property
    def parameters(self) -> Mapping[str, object]: ...  # noqa: D102


class BenthicDemo:
    """A `Family`: letterbox, an anchor-free graph, class-aware NMS.

    Raises ModelUnavailable when the weights cannot be read, when the definition's labels are
    not as many as the weights' classes, when the canvas does not divide by 32, or when the
    definition gives parameters: there are none.
    """

    def __init__(self, definition: Definition) -> None:
        path = definition.weights_path or SHIPPED_WEIGHTS
        self._stored = weights_file.read(path)
        self.labels: tuple[str, ...] = definition.labels or self._stored.labels
        self.canvas_px: tuple[int, int] = definition.canvas_px or CANVAS_PX
        if len(self.labels) != len(self._stored.labels):
            raise ModelUnavailable(
                f"{path.name} holds {len(self._stored.labels)} classes, "
                f"but the definition names {len(self.labels)} labels"
            )
        if definition.parameters:
            raise ModelUnavailable(
                f"benthic-demo takes no parameters, got {', '.join(sorted(definition.parameters))}"
            )
        if any(side % _LARGEST_STRIDE_PX or side <= 0 for side in self.canvas_px):
            raise ModelUnavailable(f"canvas_px {self.canvas_px} must be multiples of {_LARGEST_STRIDE_PX}")

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared:
        """Letterbox uint8 RGB (H, W, 3) to the canvas; the geometry is a `Letterbox`."""
        canvas, geometry = letterbox(pixels, self.canvas_px)
        return Prepared(canvas, geometry)

    def build_graph(self) -> Any:
        """Build the Keras model with weights loaded.

        Input uint8 RGB (N, h, w, 3), 0..255. Outputs, as `anchor_free.decode` gives them:
        boxes float32 (N, K, 4) canvas pixels, scores float32 (N, K), classes int32 (N, K).
        """
        from deployments.families.demo.network import serving_network

        model = serving_network(self.canvas_px, len(self.labels))
        weights_file.load_into(model, self._stored)
        return model

    def postprocess(self, outputs: Outputs, geometry: Letterbox, thresholds: Thresholds) -> Detections:
        """Thin one image's candidates and map them to the asker's pixels, best first.

        `thresholds.classes` names labels; names that this model lacks match nothing.
        """
        boxes, scores, classes = outputs
        rule = rule_of(thresholds, self.labels)
        kept = suppress(boxes, scores, classes, rule)
        found = geometry.to_image(boxes[kept])
        real = have_area(found)
        kept = kept[real]
        return detections_of(found[real], scores[kept], classes[kept], self.labels)
