"""RetinaNet of detectron2 against the outputs of detectron2 itself, with weights computed from their names."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Thresholds
from deployments.families.retinanet.detectron2_retinanet import Detectron2RetinaNet
from deployments.runtimes import Resources, Runtime, load_runtime
from tests.deployments.checkpoints.checkpoint_writer import Weights, mapping, plain, write
from tests.deployments.families.golden.detectron2_weights import weight
from tests.deployments.families.golden_cases import GOLDEN, assert_agrees, pixels_of, wide_and_upright
from tests.support.fixtures import FIXTURES
from tests.support.tensorflow_runtime import THREADS

FOLDERS = [GOLDEN] if FIXTURES is None else [GOLDEN, FIXTURES / "golden"]
CASES: list[Any] = [
    case for folder in FOLDERS for case in json.loads((folder / "detectron2_retinanet.json").read_text())["cases"]
]
LABELS = tuple(f"class {index}" for index in range(80))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as detectron2's checkpointer writes it: named tensors, and what training leaves beside them."""
    weights = Weights()
    shapes = json.loads((GOLDEN / "detectron2_scales.json").read_text())["tensors"]
    tensors = {name: weights.tensor(weight(name, shape)) for name, shape in shapes.items()}
    content = {"model": mapping(tensors), "iteration": plain(89_999), "optimizer": plain({"state": {}})}
    path = tmp_path_factory.mktemp("detectron2") / "model_final.pth"
    return write(path, mapping(content), weights.storages, root="model_final")


def family_of(
    path: Path, labels: tuple[str, ...] = LABELS, **parameters: float | int | str | bool
) -> Detectron2RetinaNet:
    definition = ModelDefinition(
        family="detectron2-retinanet", weights=str(path), labels=labels, parameters=parameters
    )
    return Detectron2RetinaNet(definition)


def family_for(checkpoint: Path, case: Any) -> Detectron2RetinaNet:
    return family_of(
        checkpoint, shape="reference", short_edge_px=case["short_edge"], long_edge_px=case["longest_edge"]
    )


@pytest.fixture(scope="module")
def loaded(checkpoint: Path) -> Runtime:
    runtime = load_runtime("tensorflow", Resources(cpu_threads=THREADS))
    runtime.load(family_of(checkpoint), [1])
    return runtime


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["image"])
def test_detections_agree_with_the_reference(checkpoint: Path, loaded: Runtime, case: Any) -> None:
    family = family_for(checkpoint, case)
    prepared = family.preprocess(pixels_of(case))
    assert prepared.geometry[0].resized_px == tuple(case["resized"])
    assert prepared.canvas.shape == (case["padded"][0] + 1, case["padded"][1], 3)
    (outputs,) = loaded.infer([prepared.canvas])
    limits = Thresholds(case["score_threshold"], case["nms"], case["max_detections"])
    assert_agrees(family.postprocess(outputs, prepared.geometry, limits), case["detections"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["image"])
def test_raw_levels_agree_with_the_reference(checkpoint: Path, case: Any) -> None:
    family = family_for(checkpoint, case)
    canvas = family.preprocess(pixels_of(case)).canvas
    (maps,) = family.build_graph().raw(canvas[None])
    for (logits, deltas), wanted in zip(maps, case["levels"], strict=True):
        classes, boxes = (np.asarray(part).transpose(0, 3, 1, 2) for part in (logits, deltas))
        assert list(classes.shape) == wanted["logits_shape"]
        np.testing.assert_allclose(classes.ravel()[:16], wanted["logits_first16"], rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(boxes.ravel()[:16], wanted["deltas_first16"], rtol=1e-3, atol=1e-3)
        assert classes.mean() == pytest.approx(wanted["logits_mean"], rel=1e-4)
        assert classes.std() == pytest.approx(wanted["logits_std"], rel=1e-3)
        assert boxes.std() == pytest.approx(wanted["deltas_std"], rel=1e-3)


def test_a_batch_gives_what_single_images_give(checkpoint: Path, runtime: Runtime) -> None:
    """On a small fixed canvas, one upright image and one wide one."""
    family = family_of(checkpoint, short_edge_px=160, long_edge_px=256)
    runtime.load(family, [1, 2])
    canvases = [family.preprocess(image).canvas for image in wide_and_upright()]
    for canvas, batched in zip(canvases, runtime.infer(canvases), strict=True):
        (alone,) = runtime.infer([canvas])
        np.testing.assert_allclose(batched[1], alone[1], atol=1e-4)
        np.testing.assert_allclose(batched[0][:20], alone[0][:20], atol=0.1)


def test_what_lies_outside_the_image_is_not_seen(checkpoint: Path) -> None:
    family = family_of(checkpoint, short_edge_px=64, long_edge_px=96)
    canvas = family.preprocess(np.full((48, 90, 3), 200, np.uint8)).canvas
    soiled = canvas.copy()
    soiled[51:64] = 77
    assert not np.array_equal(canvas, soiled)
    graph = family.build_graph()
    np.testing.assert_array_equal(graph(canvas[None])[1], graph(soiled[None])[1])


def test_only_trained_classes_of_an_untouched_head_are_answered(checkpoint: Path) -> None:
    family = family_of(checkpoint, labels=LABELS[:20], short_edge_px=64, long_edge_px=96)
    canvas = family.preprocess(np.full((64, 96, 3), 200, np.uint8)).canvas
    _, _, classes, _ = family.build_graph()(canvas[None])
    assert set(np.unique(classes)) <= set(range(20))


def test_boxes_of_different_classes_suppress_each_other_when_asked(checkpoint: Path) -> None:
    boxes = np.array([[0, 0, 100, 100], [0, 0, 100, 90], [200, 200, 300, 300]], np.float32)
    classes = np.array([0, 1, 1], np.int32)
    outputs = (boxes, np.array([0.9, 0.8, 0.7], np.float32), classes, np.zeros(3, np.int32))
    limits = Thresholds(0.3, 0.5, 300)
    for parameters, expected in (({}, 3), ({"cross_class_iou_threshold": 0.45}, 2)):
        family = family_of(checkpoint, **parameters)
        geometry = family.preprocess(np.zeros((720, 1280, 3), np.uint8)).geometry
        assert len(family.postprocess(outputs, geometry, limits)) == expected


@pytest.mark.parametrize("labels", [LABELS[:0] or None, (*LABELS, "one more")])
def test_labels_that_the_head_cannot_have_are_refused(checkpoint: Path, labels: tuple[str, ...] | None) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"needs `labels`, up to 80|has 80 classes, but the definition names 81"
    ):
        Detectron2RetinaNet(ModelDefinition(family="detectron2-retinanet", weights=str(checkpoint), labels=labels))


def test_other_tensors_are_refused(tmp_path: Path) -> None:
    weights = Weights()
    tensors = {"roi_heads.weight": weights.tensor(np.ones((4, 4), np.float32))}
    path = write(tmp_path / "mask.pth", mapping({"model": mapping(tensors)}), weights.storages)
    with pytest.raises(ModelUnavailable, match=r"mask\.pth: not a RetinaNet of detectron2: no head\.cls_score"):
        family_of(path)


def test_a_missing_layer_is_named_when_the_graph_is_built(tmp_path: Path) -> None:
    weights = Weights()
    shapes = {"head.cls_score.weight": (720, 1, 1, 1), "head.bbox_pred.weight": (36, 1, 1, 1)}
    tensors = {name: weights.tensor(np.ones(shape, np.float32)) for name, shape in shapes.items()}
    path = write(tmp_path / "part.pth", mapping({"model": mapping(tensors)}), weights.storages)
    with pytest.raises(ModelUnavailable, match=r"part\.pth: no tensor 'backbone\.bottom_up\.stem\.conv1\.weight'"):
        family_of(path).build_graph()


def test_a_wrong_parameter_is_named(checkpoint: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"parameters\.short_edge .* known: short_edge_px, long_edge_px"):
        family_of(checkpoint, short_edge=720)
