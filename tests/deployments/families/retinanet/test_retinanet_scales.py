"""RetinaNet of detectron2 over several sizes of an image, against detectron2 and torchvision themselves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Thresholds
from deployments.families.retinanet.detectron2_graph import RetinaNetGraph
from deployments.families.retinanet.detectron2_retinanet import Detectron2RetinaNet
from deployments.runtimes import Runtime
from tests.deployments.families.golden_cases import assert_agrees, pixels_of, wide_and_upright
from tests.deployments.families.small_checkpoints import golden, write_detectron2_retinanet

LABELS = tuple(f"class {index}" for index in range(80))
CASES: list[Any] = golden("detectron2_scales")["cases"]
SMALL = "96x160 64x128"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detectron2_retinanet(tmp_path_factory.mktemp("full") / "model_final.pth", narrow=1)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_detectron2_retinanet(tmp_path_factory.mktemp("small") / "small.pth")


def family_of(
    path: Path, canvas_px: tuple[int, int] | None = None, **parameters: float | int | str | bool
) -> Detectron2RetinaNet:
    definition = ModelDefinition(
        family="detectron2-retinanet", weights=str(path), labels=LABELS, canvas_px=canvas_px, parameters=parameters
    )
    return Detectron2RetinaNet(definition)


def run(graph: RetinaNetGraph, canvas: Any) -> Outputs:
    return tuple(np.asarray(part)[0] for part in graph(canvas[None]))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['image']}-{len(case['scales'])}-{case['float32']}")
def test_merged_detections_agree_with_the_reference(full: Path, case: Any) -> None:
    """In one batch, as the legacy server did, and one after the other, as the published scripts do."""
    scales = " ".join(f"{short}x{long}" for short, long in case["scales"])
    shape = "reference" if case["one_batch"] else "fixed"
    family = family_of(full, scales=scales, shape=shape, antialias=not case["float32"])
    prepared = family.preprocess(pixels_of(case))
    outputs = run(family.build_graph(), prepared.canvas)
    found = family.postprocess(outputs, prepared.geometry, Thresholds(case["threshold"], 0.5, 300))
    assert_agrees(found, case["detections"])


@pytest.mark.parametrize("antialias", [True, False])
def test_each_size_sees_what_it_would_see_alone(small: Path, antialias: bool) -> None:
    picture, _ = wide_and_upright()
    together = family_of(small, scales=SMALL, antialias=antialias)
    boxes, scores, classes, views = run(together.build_graph(), together.preprocess(picture).canvas)
    for index, (short, long) in enumerate(((96, 160), (64, 128))):
        alone = family_of(small, short_edge_px=short, long_edge_px=long, antialias=antialias)
        wanted = run(alone.build_graph(), alone.preprocess(picture).canvas)
        mine = views == index
        np.testing.assert_allclose(scores[mine], wanted[1], atol=1e-5)
        np.testing.assert_allclose(boxes[mine], wanted[0], atol=1e-2)
        np.testing.assert_array_equal(classes[mine], wanted[2])


def test_a_batch_gives_what_single_images_give(small: Path, runtime: Runtime) -> None:
    family = family_of(small, scales=SMALL)
    assert family.input_px == (96, 160)
    runtime.load(family, [1, 2])
    canvases = [family.preprocess(image).canvas for image in wide_and_upright()]
    assert canvases[0].shape == (*family.canvas_px, 3)
    for canvas, batched in zip(canvases, runtime.infer(canvases), strict=True):
        (alone,) = runtime.infer([canvas])
        np.testing.assert_allclose(batched[1], alone[1], atol=1e-5)
        np.testing.assert_array_equal(batched[3], alone[3])


def test_boxes_of_each_size_come_back_to_the_image_and_are_merged_across_sizes_and_classes(small: Path) -> None:
    family = family_of(small, scales="100x200 50x100")
    geometry = family.preprocess(np.zeros((200, 400, 3), np.uint8)).geometry
    boxes = np.array(
        [
            [10, 10, 30, 30],  # the first size: 20 to 60 in the image
            [5, 5, 15, 15],  # the second size: the same place, another class, a better score
            [60, 10, 80, 20],  # nowhere else
            [61, 10, 81, 20],  # the same class in the same size
            [20, 20, 20, 40],  # no area
        ],
        np.float32,
    )
    scores = np.array([0.6, 0.9, 0.8, 0.7, 0.95], np.float32)
    outputs = (boxes, scores, np.array([3, 5, 4, 4, 1], np.int32), np.array([0, 1, 0, 0, 0], np.int32))
    found = family.postprocess(outputs, geometry, Thresholds(0.3, 0.5, 300))
    assert found.boxes.tolist() == [[20, 20, 60, 60], [120, 20, 160, 40]]
    assert found.labels == ("class 5", "class 4")
    apart = family_of(small, scales="100x200 50x100", cross_class_iou_threshold=1.0)
    found = apart.postprocess(outputs, geometry, Thresholds(0.3, 0.5, 300))
    assert found.labels == ("class 5", "class 4", "class 3")
    assert apart.postprocess(outputs, geometry, Thresholds(0.3, 0.5, 1)).labels == ("class 5",)


def test_nothing_found_is_an_empty_answer(small: Path) -> None:
    family = family_of(small, scales=SMALL)
    prepared = family.preprocess(np.zeros((60, 90, 3), np.uint8))
    outputs = run(family.build_graph(), prepared.canvas)
    assert len(family.postprocess(outputs, prepared.geometry, Thresholds(1.0, 0.5, 300))) == 0


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"scales": "720x1280", "short_edge_px": 720}, "give either scales or short_edge_px and long_edge_px"),
        ({"scales": "1280x720"}, r"edges \(\(1280, 720\),\) must be 32 to 4096, the short one first"),
        ({"scales": "720x1280 16x90"}, "must be 32 to 4096"),
        ({"scales": "720, 1280"}, r"parameters\.scales .* should match pattern"),
        ({"scales": " ".join(["64x64"] * 9)}, r"parameters\.scales .* should match pattern"),
    ],
)
def test_wrong_sizes_are_named(small: Path, parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        family_of(small, **parameters)


def test_a_canvas_beside_sizes_is_refused(small: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"canvas_px cannot be given with parameters\.scales"):
        family_of(small, canvas_px=(96, 160), scales=SMALL)
