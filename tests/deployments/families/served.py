"""A model from its file to its answers, as a replica does it, without Ray."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.families import FAMILIES, load_family
from deployments.families.contract import Family, Thresholds
from deployments.runtimes import Resources, Runtime, batch_sizes_up_to, load_runtime
from tests.support.tensorflow_runtime import THREADS

LIMITS = Thresholds(score_threshold=0.25, iou_threshold=0.5, max_detections=100)


class Served:
    """Family and runtime of one model."""

    def __init__(self, args: dict[str, Any], largest_batch: int = 4) -> None:
        self.family: Family[Any] = load_family(ModelDefinition(**args))
        self.runtime: Runtime = load_runtime(FAMILIES[args["family"]].runtime, Resources(cpu_threads=THREADS))
        self.runtime.load(self.family, batch_sizes_up_to(largest_batch))

    def answer(self, pictures: list[NDArray[np.uint8]], limits: Thresholds = LIMITS) -> list[Any]:
        prepared = [self.family.preprocess(picture) for picture in pictures]
        outputs = self.runtime.infer([one.canvas for one in prepared])
        return [
            self.family.postprocess(output, one.geometry, limits)
            for output, one in zip(outputs, prepared, strict=True)
        ]
