"""A replica with a fixed answer, and frames that it looks at in parts."""

import asyncio
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition, Tiling
from deployments.families.contract import Outputs, Thresholds
from deployments.families.synthetic.fixed_answer import FixedAnswer
from deployments.prediction import ClassScores, Detections, Masks, Outcome, Prediction
from deployments.request import Image, Options, Request
from deployments.runtimes import Resources
from deployments.serving.batching.batch_items import Batched
from deployments.serving.replica import Replica
from deployments.serving.tiling.tiled_frame import TiledFrame
from deployments.serving.tiling.tiles import Tile, cut_into_tiles
from tests.support.no_meter import NoMeter

SIX = Tiling(tile_height_px=100, tile_width_px=100, overlap=0, whole_frame=False)
SIZE_PX = (200, 300)
LIMITS = Thresholds(score_threshold=0.25, iou_threshold=0.45, max_detections=1000)


class BatchCount(NoMeter):
    """The sizes of the batches that ran; `began` is set when one does."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.began = asyncio.Event()

    def batch(self, size: int, in_work: int) -> None:
        self.sizes.append(size)
        self.began.set()


def replica(meter: BatchCount, largest_batch: int = 8, delay_ms: float = 0) -> Replica:
    definition = ModelDefinition(
        family="fixed-answer", parameters={"delay_ms": delay_ms}, largest_batch=largest_batch
    )
    return Replica("fixed", definition, Resources(), meter)


def request(options: Options, deadline_s: float = 30, size_px: tuple[int, int] = SIZE_PX) -> Request:
    return Request(Image.from_pixels(np.zeros((*size_px, 3), np.uint8)), options, deadline_s)


def boxes(outcome: Outcome) -> set[tuple[str, tuple[float, ...]]]:
    assert isinstance(outcome, Prediction), outcome
    assert isinstance(outcome.result, Detections)
    return {(one.label, tuple(round(side) for side in one.box)) for one in outcome.result}


async def answer_at_once(canvas: NDArray[np.uint8], expires_at_s: float) -> Batched[Outputs]:
    graph = FixedAnswer(ModelDefinition(family="fixed-answer")).build_graph()
    return Batched(tuple(output[0] for output in graph(canvas[None])), 0.0, 0.0, 1)


def frame(pixels: NDArray[np.uint8]) -> TiledFrame:
    tiles: tuple[Tile, ...] = cut_into_tiles((pixels.shape[0], pixels.shape[1]), SIX, (8, 8))
    return TiledFrame(pixels, tiles, LIMITS, float("inf"))


class Finder(FixedAnswer):
    """Finds something beside boxes."""

    def __init__(self, beside: str) -> None:
        super().__init__(ModelDefinition(family="fixed-answer"))
        self._beside = beside

    def postprocess(self, outputs: Outputs, geometry: tuple[int, int], thresholds: Thresholds) -> Detections:
        found = super().postprocess(outputs, geometry, thresholds)
        points = np.zeros((len(found), 4, 2), np.float32)
        beside = {
            "masks": Masks.of(len(found), lambda index: np.ones((2, 2), np.bool_), (2, 2)),
            "corners": found.boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2),
            "keypoints": np.concatenate([points + 7, points[..., :1] + 0.5], axis=2),
        }
        return replace(found, **{self._beside: beside[self._beside]})


class Classifier(FixedAnswer):
    """Answers scores of classes instead of boxes."""

    def __init__(self) -> None:
        super().__init__(ModelDefinition(family="fixed-answer"))

    def postprocess(self, outputs: Outputs, geometry: tuple[int, int], thresholds: Thresholds) -> ClassScores:  # type: ignore[override]
        return ClassScores(outputs[1], self.labels)
