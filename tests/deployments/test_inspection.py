"""What is said of a file of weights, and whether the block that comes with it is one that serves it."""

from pathlib import Path

import numpy as np
import pytest

from deployments.errors import ModelUnavailable
from deployments.inspection import inspect
from serve_app.launcher.configuration.validation import block_problems
from tests.deployments.checkpoints.checkpoint_writer import Weights, mapping, write
from tests.deployments.families.yolo.tiny_yolov5 import TinyNetwork

GOLDEN = Path(__file__).parent / "families" / "golden"
CLASSES = ("coral", "crinoid", "sponge", "fish")


@pytest.mark.parametrize(
    ("name", "family", "answers", "canvas_px"),
    [
        ("yolo26-unstripped.pt", "ultralytics", "boxes", (192, 192)),
        ("yolo26-cls.pt", "ultralytics-classify", "class scores", (192, 192)),
        ("yolo26-seg-fused.pt", "ultralytics", "boxes", (192, 192)),
        ("yolo11-pose.pt", "ultralytics", "boxes", (192, 192)),
        ("rtdetr-l.pt", "ultralytics-rtdetr", "boxes", (192, 192)),
        ("yolov5-v7-ghost.pt", "yolov5", "boxes", (640, 640)),
        ("yolov5_cls.pt", "yolov5-classify", "class scores", (224, 224)),
        ("yolov8-first-half.onnx", "onnx", "boxes", (192, 192)),
        ("yolov8-first-nms.onnx", "onnx", "boxes", (192, 192)),
        ("yolov8-cls.onnx", "onnx", "class scores", (64, 64)),
    ],
)
def test_a_file_is_told_with_a_block_that_serves_it(
    name: str, family: str, answers: str, canvas_px: tuple[int, int]
) -> None:
    found = inspect(GOLDEN / name)
    assert (found.definition.family, found.answers, found.labels) == (family, answers, CLASSES)
    assert found.canvas_px == canvas_px
    block = found.block()
    assert block_problems(block) == []
    assert block["args"]["weights"] == str(GOLDEN / name)


def test_an_rf_detr_is_told_with_the_size_of_its_input() -> None:
    found = inspect(GOLDEN / "rf-detr-rectangular.pth")
    assert (found.definition.family, found.answers, found.labels) == (
        "rf-detr",
        "boxes",
        ("coral", "crinoid", "fish"),
    )
    assert found.canvas_px == (96, 160)


def test_the_guess_at_an_onnx_file_is_one_that_was_tried() -> None:
    assert inspect(GOLDEN / "yolov8-first-half.onnx").definition.parameters["outputs"] == "raw-head"
    assert inspect(GOLDEN / "yolov8-first-nms.onnx").definition.parameters["outputs"] == "end-to-end"


@pytest.mark.parametrize(
    ("name", "answers", "classes", "canvas_px", "parameters"),
    [
        ("vit", "class scores", 5, (48, 48), {"answer": "class-scores"}),
        ("dinov3", "an embedding", 0, (64, 96), {"answer": "embedding"}),
    ],
)
def test_a_folder_of_hugging_face_is_told(
    name: str, answers: str, classes: int, canvas_px: tuple[int, int], parameters: dict[str, str]
) -> None:
    found = inspect(GOLDEN / "huggingface" / name)
    assert (found.definition.family, found.answers, len(found.labels)) == ("huggingface", answers, classes)
    assert (found.canvas_px, found.definition.parameters) == (canvas_px, parameters)
    assert block_problems(found.block()) == []
    with pytest.raises(ModelUnavailable, match="inspect the folder in which it lies"):
        inspect(GOLDEN / "huggingface" / name / "model.safetensors")


def test_a_name_that_no_model_may_have_gives_way_to_one_that_may(tmp_path: Path) -> None:
    copy = tmp_path / "my best! model.onnx"
    copy.write_bytes((GOLDEN / "yolov8-cls.onnx").read_bytes())
    assert inspect(copy).block()["name"] == "my-model"


def test_a_reason_counts_whatever_its_words_are(tmp_path: Path) -> None:
    network = TinyNetwork()
    network.head_kind = "models.yolo.Detect"
    network.layer = network.stage("models.common.holds a ", 0, -1)
    with pytest.raises(ModelUnavailable, match=r"family yolov5: odd\.pt: .*holds a "):
        inspect(network.write(tmp_path / "odd.pt"))


def test_a_network_that_nobody_serves_is_told_by_the_family_that_knows_its_kind(tmp_path: Path) -> None:
    weights = Weights()
    sequence = weights.sequence("Sequential", [weights.module("models.yolo.Odd")] * 2)
    network = weights.module("models.yolo.Model", {"model": sequence})
    path = write(tmp_path / "odd.pt", mapping({"model": network}), weights.storages)
    with pytest.raises(ModelUnavailable, match=r"family yolov5: odd\.pt: the head is a models\.yolo\.Odd"):
        inspect(path)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none.pt", "is not there"),
        ("model.bin", r"files are told by their endings.*\.pt"),
        ("model.keras", "family keras.*what to declare"),
        ("folder", "family saved-model.*what to declare"),
    ],
)
def test_what_cannot_be_told_says_what_to_do(tmp_path: Path, name: str, told: str) -> None:
    if name == "folder":
        (tmp_path / name).mkdir()
    elif name != "none.pt":
        (tmp_path / name).write_bytes(b"?")
    with pytest.raises(ModelUnavailable, match=told):
        inspect(tmp_path / name)


def test_weights_without_a_network_are_told(tmp_path: Path) -> None:
    weights = Weights()
    body = mapping({"model.0.conv.weight": weights.tensor(np.zeros(3, np.float32))})
    with pytest.raises(ModelUnavailable, match="weights without their network"):
        inspect(write(tmp_path / "bare.pt", body, weights.storages))
