"""A file of another network is refused by one sentence that names it and says what to do."""

from pathlib import Path
from typing import Any

import pytest

from deployments.checkpoints.file_kinds import family_of_network
from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families import load_family
from deployments.families.yolo.ultralytics import Ultralytics
from deployments.families.yolo.ultralytics_classify import UltralyticsClassify
from deployments.families.yolo.ultralytics_rtdetr import UltralyticsRTDETR
from deployments.families.yolo.yolov5 import YOLOv5
from deployments.families.yolo.yolov5_classify import YOLOv5Classify
from tests.deployments.checkpoints.checkpoint_writer import Weights, mapping, write

FAMILIES = (Ultralytics, UltralyticsClassify, UltralyticsRTDETR, YOLOv5, YOLOv5Classify)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.kind.family)
def test_the_family_that_takes_a_network_is_named(family: Any) -> None:
    for network in family.kind.networks:
        assert family_of_network(network) == f"; family {family.kind.family} is for such files"


@pytest.mark.parametrize(
    ("network", "what"),
    [
        ("WorldModel", "a YOLO-World"),
        ("YOLOEModel", "a YOLOE"),
        ("YOLOESegModel", "a YOLOE"),
        ("SemanticSegmentationModel", "a network that labels each pixel"),
        ("DepthModel", "a network that measures depth"),
    ],
)
def test_a_network_that_none_takes_is_named_with_the_way_out(tmp_path: Path, network: str, what: str) -> None:
    kind = f"ultralytics.nn.tasks.{network}"
    path = write(tmp_path / "best.pt", mapping({"model": Weights().module(kind)}))
    reason = rf"best\.pt: holds a {kind}, but family .*; this is {what}, which no family reads; .*ONNX.*family onnx"
    with pytest.raises(ModelUnavailable, match=reason):
        load_family(ModelDefinition(family="ultralytics", weights=str(path)))
