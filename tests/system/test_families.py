"""One configured model of each family, deployed asleep into the running system, woken and asked through both doors.

What the doors must answer is what the family itself answers here, in this process, for the same pixels: whether
that is right is the matter of `tests/deployments/families`. Models fall asleep again soon, so that memory is bounded.
"""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import yaml

from deployments.families import FAMILIES
from deployments.families.contract import Thresholds
from deployments.legacy_answer import legacy_rows
from deployments.prediction import Prediction
from deployments.runtimes import Resources, load_runtime
from tests.deployments.families import small_generic_models as generic
from tests.deployments.families.served import Served
from tests.deployments.families.small_checkpoints import write_detectron2_retinanet, write_keras_retinanet
from tests.support.tensorflow_runtime import THREADS
from tests.system.conftest import ROOT, SAMPLES, RunningSystem
from tests.system.legacy_jobs import answer_of, job

pytestmark = [pytest.mark.slow, pytest.mark.beside_others]

GOLDEN = Path(__file__).parents[1] / "deployments" / "families" / "golden"
CONFIG = "configs/app.yaml"
KNOBS = {"score_threshold": 0.05, "iou_threshold": 0.5, "max_detections": 20}
NOT_OF_CHECKPOINTS = {"bench-detector", "benthic-demo", "fixed-answer"}

Write = Callable[[Path], dict[str, Any]]
"""Writes a model's file into a folder; the `args` that serve it."""


@dataclass(frozen=True)
class Case:
    """A model of a family, and the picture that it is asked about."""

    family: str
    write: Write
    frame: Callable[[], PIL.Image.Image]


def published(name: str, **args: Any) -> Write:
    """A file that is there already: nothing is written."""

    def find(folder: Path) -> dict[str, Any]:
        del folder
        return {"weights": str(GOLDEN / name), **args}

    return find


def inside(name: str, write: Write) -> Write:
    return lambda folder: write(folder / name)


def seafloor() -> PIL.Image.Image:
    return PIL.Image.open(SAMPLES / "seafloor-1.png").convert("RGB")


def drawing() -> PIL.Image.Image:
    return PIL.Image.fromarray(generic.drawing())


def with_labels(name: str, write: Callable[[Path], Path], **args: Any) -> Write:
    """A RetinaNet of three classes; its file has no names for them."""
    return lambda folder: {"weights": str(write(folder / name)), "labels": ["coral", "crab", "fish"], **args}


CASES = {
    "yolov5-focus": Case("yolov5", published("yolov5-v5-focus.pt", canvas_px=[320, 320]), seafloor),
    "yolov5-cls": Case("yolov5-classify", published("yolov5_cls.pt"), seafloor),
    "yolo26-seg": Case("ultralytics", published("yolo26-seg-fused.pt", canvas_px=[128, 192]), seafloor),
    "yolo11-pose": Case("ultralytics", published("yolo11-pose.pt", canvas_px=[128, 192]), seafloor),
    "yolo11-obb": Case("ultralytics", published("yolo11-obb.pt", canvas_px=[128, 192]), seafloor),
    "rtdetr": Case("ultralytics-rtdetr", published("rtdetr-l.pt", canvas_px=[128, 192]), seafloor),
    "yolo26-cls": Case("ultralytics-classify", published("yolo26-cls.pt"), seafloor),
    "vit-embedding": Case(
        "huggingface",
        published(
            "huggingface/vit-sharded", parameters={"answer": "embedding", "pooling": "mean", "normalise": True}
        ),
        seafloor,
    ),
    "benthic": Case(
        "detectron2-retinanet",
        with_labels("model_final.pth", write_detectron2_retinanet, canvas_px=[128, 224]),
        seafloor,
    ),
    "midwater": Case(
        "keras-retinanet",
        with_labels("production_model.h5", write_keras_retinanet, canvas_px=[128, 224]),
        seafloor,
    ),
    "rf-detr-nano": Case("rf-detr", published("rf-detr-nano.pth"), seafloor),
    "rf-detr-seg": Case("rf-detr", published("rf-detr-seg.pth"), seafloor),
    "yolov5-seg": Case("yolov5", published("yolov5_seg.pt", canvas_px=[128, 192]), seafloor),
    "detector-keras": Case("keras", inside("detector.keras", generic.write_keras_detector), drawing),
    "detector-saved-model": Case("saved-model", inside("detector", generic.write_saved_model_detector), drawing),
    "detector-onnx": Case("onnx", inside("detector.onnx", generic.write_onnx_detector), drawing),
}


def block(name: str, args: dict[str, Any]) -> dict[str, Any]:
    """The block that a user would write for a model with these `args`, asleep."""
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in args.items()}
    scaling = {"min_replicas": 0, "max_replicas": 1, "downscale_delay_s": 2}
    return {
        "name": name,
        "import_path": "deployments.app:build",
        "route_prefix": None,
        "args": {**plain, "queues": [queue_of(name)], "largest_batch": 1},
        "deployments": [
            {
                "name": "Model",
                "max_ongoing_requests": 16,
                "autoscaling_config": scaling,
                "ray_actor_options": {"num_cpus": 0.25},
                "user_config": KNOBS,
            }
        ],
    }


def queue_of(name: str) -> str:
    return f"image_queue_{name}"


def expected(args: dict[str, Any], frame: PIL.Image.Image) -> list[Any]:
    """The family's own answer, in the shape of the doors."""
    [result] = Served(args, largest_batch=1).answer([np.asarray(frame)], Thresholds(**KNOBS))  # type: ignore[arg-type]
    return list(legacy_rows(Prediction(result, (frame.height, frame.width), "", "")))


def assert_same(rows: list[Any], wanted: list[Any]) -> None:
    assert [row.get("category_id") for row in rows] == [row.get("category_id") for row in wanted]
    for key, tolerance in (("scores", 1e-3), ("bbox", 0.1), ("embedding", 1e-3)):
        assert [key in row for row in rows] == [key in row for row in wanted]
        found, right = ([row[key] for row in some if key in row] for some in (rows, wanted))
        np.testing.assert_allclose(found, right, rtol=0, atol=tolerance)


@pytest.fixture(scope="module")
def args_of(system: RunningSystem, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, Any]]]:
    """The `args` of each case, all of which are in the running system for the time of this module."""
    # TensorFlow takes the number of threads before its first operation only, and the writers have some.
    load_runtime("tensorflow", Resources(cpu_threads=THREADS))
    written = {}
    for name, case in CASES.items():
        written[name] = {"family": case.family, **case.write(tmp_path_factory.mktemp(name))}
    document = yaml.safe_load((ROOT / CONFIG).read_text())
    document["applications"] += [block(name, args) for name, args in written.items()]
    path = tmp_path_factory.mktemp("families") / "app.yaml"
    path.write_text(yaml.safe_dump(document))
    system.launch("deploy", str(path))
    yield written
    system.launch("deploy", CONFIG)


@pytest.mark.parametrize("name", CASES)
def test_a_model_of_the_family_answers_through_both_doors(
    system: RunningSystem, args_of: dict[str, dict[str, Any]], name: str, tmp_path: Path
) -> None:
    frame, path = CASES[name].frame(), tmp_path / "frame.png"
    frame.save(path)
    wanted = expected(args_of[name], frame)
    assert wanted

    job_id = str(uuid.uuid4())
    system.redis.rpush(queue_of(name), job(path, job_id))
    for model_type in (name, queue_of(name)):
        answer = system.http.post("/predictor/", files={"file": path.read_bytes()}, data={"model_type": model_type})
        assert answer.status_code == 200, answer.text
        assert_same(answer.json()["predictions"], wanted)
    assert_same(answer_of(system, job_id), wanted)


def test_no_family_is_left_out() -> None:
    assert {case.family for case in CASES.values()} == set(FAMILIES) - NOT_OF_CHECKPOINTS
