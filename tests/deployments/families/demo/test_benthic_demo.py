"""The demo family end to end: shipped weights on shipped samples, and its refusals."""

import io
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Family, Thresholds
from deployments.families.demo.family import CANVAS_PX, SHIPPED_WEIGHTS, BenthicDemo
from deployments.families.shared.letterbox import Letterbox
from deployments.prediction import Detections
from training.benthic_demo.animals import LABELS
from training.benthic_demo.samples import SAMPLES_DIRECTORY, SEEDS, TRUTH_NAME
from training.benthic_demo.scenes import draw_scene

_THRESHOLDS = Thresholds(score_threshold=0.25, iou_threshold=0.45, max_detections=300)


def _definition(**args: Any) -> ModelDefinition:
    return ModelDefinition(family="benthic-demo", **args)


@pytest.fixture(scope="module")
def family() -> BenthicDemo:
    return BenthicDemo(_definition())


@pytest.fixture(scope="module")
def graph(family: BenthicDemo) -> Any:
    return family.build_graph()


@pytest.fixture(scope="module")
def truth() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((SAMPLES_DIRECTORY / TRUTH_NAME).read_text())
    return content


def _pixels(name: str) -> NDArray[np.uint8]:
    stored = cv2.imread(str(SAMPLES_DIRECTORY / name))
    assert stored is not None
    return np.ascontiguousarray(stored[..., ::-1], np.uint8)


def _detect(
    family: BenthicDemo, graph: Any, pixels: NDArray[np.uint8], thresholds: Thresholds = _THRESHOLDS
) -> Detections:
    prepared = family.preprocess(pixels)
    outputs = tuple(np.asarray(tensor)[0] for tensor in graph(prepared.canvas[None]))
    return family.postprocess(outputs, prepared.geometry, thresholds)


def _iou(one: list[float], other: tuple[float, float, float, float]) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, wide) * max(0.0, tall)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / (sum(areas) - shared)


def test_it_keeps_the_contract(family: BenthicDemo) -> None:
    kept: Family[Letterbox] = family
    assert kept.labels == LABELS
    assert kept.canvas_px == CANVAS_PX


def test_the_weights_are_small_and_hold_no_pickle() -> None:
    assert SHIPPED_WEIGHTS.stat().st_size <= 4_000_000
    with np.load(SHIPPED_WEIGHTS, allow_pickle=False) as stored:
        assert all(stored[name].dtype.kind in "fU" for name in stored.files)


def test_the_truth_of_the_samples_is_found(family: BenthicDemo, graph: Any, truth: dict[str, Any]) -> None:
    found = asked = wrong = 0
    for name, frame in truth.items():
        answer = list(_detect(family, graph, _pixels(name)))
        for item in frame["objects"]:
            if item["small"]:
                continue
            asked += 1
            found += any(one.label == item["label"] and _iou(item["bbox"], one.box) >= 0.5 for one in answer)
        wrong += sum(all(_iou(item["bbox"], one.box) < 0.3 for item in frame["objects"]) for one in answer)
    assert asked >= 20
    assert found / asked >= 0.9
    assert wrong <= 3


def test_a_batch_gives_what_single_images_give(family: BenthicDemo, graph: Any) -> None:
    canvases = np.stack([family.preprocess(_pixels(name)).canvas for name in SEEDS])
    together = [np.asarray(tensor) for tensor in graph(canvases)]
    for row, canvas in enumerate(canvases):
        alone = [np.asarray(tensor)[0] for tensor in graph(canvas[None])]
        sure = alone[1] > 0.05
        assert np.allclose(together[1][row], alone[1], atol=1e-4)
        assert np.allclose(together[0][row][sure], alone[0][sure], atol=0.05)
        assert np.array_equal(together[2][row][sure], alone[2][sure])


def test_the_graph_keeps_its_shapes_and_order(graph: Any) -> None:
    blank = np.zeros((2, *CANVAS_PX, 3), np.uint8)
    boxes, scores, classes = (np.asarray(tensor) for tensor in graph(blank))
    assert boxes.shape == (2, 300, 4)
    assert boxes.dtype == scores.dtype == np.float32
    assert classes.dtype == np.int32
    assert (np.diff(scores, axis=1) <= 0).all()


def test_answers_are_best_first_in_pixels_of_the_asker(family: BenthicDemo, graph: Any) -> None:
    frame = _pixels("seafloor-1.png")
    large = cv2.resize(frame, None, fx=2.0, fy=2.0, interpolation=cv2.INTER_LINEAR)
    answer = _detect(family, graph, np.asarray(large, np.uint8))
    assert len(answer) > 0
    assert (np.diff(answer.scores) <= 0).all()
    assert answer.boxes.max() > 1000
    assert (answer.boxes >= 0).all()
    assert (answer.boxes <= [1920, 1080, 1920, 1080]).all()


def test_thresholds_act_at_run_time(family: BenthicDemo, graph: Any) -> None:
    frame = _pixels("seafloor-1.png")
    loose = _detect(family, graph, frame, Thresholds(0.01, 0.45, 300))
    strict = _detect(family, graph, frame, Thresholds(0.6, 0.45, 300))
    few = _detect(family, graph, frame, Thresholds(0.01, 0.45, 2))
    label = strict.labels[0]
    only = _detect(family, graph, frame, Thresholds(0.25, 0.45, 300, (label, "Unicorn")))
    assert len(loose) > len(strict) > 0
    assert len(few) == 2
    assert set(only.labels) == {label}
    assert len(_detect(family, graph, frame, Thresholds(0.25, 0.45, 300, ("Unicorn",)))) == 0


def test_the_samples_are_what_the_script_draws(truth: dict[str, Any]) -> None:
    name, seed = next(iter(SEEDS.items()))
    scene = draw_scene(seed)
    assert [item.label for item in scene.objects] == [o["label"] for o in truth[name]["objects"]]
    assert [list(item.box_px) for item in scene.objects] == [o["bbox"] for o in truth[name]["objects"]]
    difference = np.abs(scene.pixels.astype(int) - _pixels(name))
    # Another cv2 build may round a pixel differently; a different drawing would differ by far more.
    assert difference.mean() < 0.5
    assert all((SAMPLES_DIRECTORY / name).stat().st_size < 1_200_000 for name in SEEDS)


def test_labels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ModelUnavailable, match=r"benthic-demo\.npz has 7 classes, but the definition names 1 labels"):
        BenthicDemo(_definition(labels=("Fish",)))


def test_a_canvas_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ModelUnavailable, match="multiples of 32"):
        BenthicDemo(_definition(canvas_px=(300, 640)))


def test_parameters_are_refused() -> None:
    with pytest.raises(
        ModelUnavailable,
        match=r"parameters\.width of family 'benthic-demo': .* not permitted; known: none",
    ):
        BenthicDemo(_definition(parameters={"width": 2}))


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x80\x04N."])
def test_broken_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.npz"
    path.write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"weights\.npz cannot be read"):
        BenthicDemo(_definition(weights=str(path)))


def test_a_pickle_in_the_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    buffer = io.BytesIO()
    np.savez(buffer, labels=np.array(["a", None], dtype=object))
    path.write_bytes(buffer.getvalue())
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        BenthicDemo(_definition(weights=str(path)))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    content: dict[str, Any] = {"stem/kernel": np.zeros((3, 3, 3, 16), np.float16)}
    np.savez(path, labels=np.array(LABELS), **content)
    with pytest.raises(ModelUnavailable, match="differ in"):
        BenthicDemo(_definition(weights=str(path))).build_graph()
