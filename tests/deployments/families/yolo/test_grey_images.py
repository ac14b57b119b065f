"""Networks for grey images, against the original code (`golden/make_ultralytics_grey.py`) on three canvases."""

import functools
import io

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from deployments.images import to_pixels
from deployments.request import Image
from deployments.runtimes import Resources, load_runtime
from tests.deployments.families.golden_cases import assert_agrees
from tests.deployments.families.yolo.heads.original_answers import GOLDEN, family_of, golden_of, limits_of, picture
from tests.support.tensorflow_runtime import THREADS

CANVASES_PX = [(128, 192), (160, 96), (224, 224)]
CASES = [
    (layout, head, canvas)
    for layout, head in (("yolo11-grey", None), ("yolo26-grey", "one-to-one"))
    for canvas in CANVASES_PX
]
CASES.append(("yolo26-grey", "one-to-many", CANVASES_PX[0]))
COUNT = 4


@functools.cache
def frames() -> list[NDArray[np.uint8]]:
    """Two pictures in colours, a photograph, and a grey file, which the product decodes."""
    noise = np.random.default_rng(2).integers(0, 256, (100, 100), np.uint8)
    grey = io.BytesIO()
    PIL.Image.fromarray(noise).save(grey, "PNG")
    files = [(GOLDEN / "03_00_51_14.jpg").read_bytes(), grey.getvalue()]
    return [picture(0), picture(1), *(to_pixels(Image.from_encoded(file)) for file in files)]


@pytest.mark.parametrize(("layout", "head", "canvas_px"), CASES)
def test_answers_agree_with_the_original_code_alone_and_in_a_batch(
    layout: str, head: str | None, canvas_px: tuple[int, int]
) -> None:
    golden = golden_of(layout)
    wanted = [
        one["detections"] for one in golden["answers"] if (one["head"], tuple(one["canvas_px"])) == (head, canvas_px)
    ]
    family = family_of(layout, canvas_px, **({"head": head} if head else {}))
    runtime = load_runtime("tensorflow", Resources(cpu_threads=THREADS))
    runtime.load(family, [1, COUNT])
    prepared = [family.preprocess(frame) for frame in frames()]
    together = runtime.infer([one.canvas for one in prepared])
    assert len(wanted) == len(together) == COUNT
    for one, batched, rows in zip(prepared, together, wanted, strict=True):
        [alone] = runtime.infer([one.canvas])
        for outputs in (alone, batched):
            assert_agrees(family.postprocess(outputs, one.geometry, limits_of(golden)), rows)
