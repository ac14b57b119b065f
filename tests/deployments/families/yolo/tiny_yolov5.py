"""A YOLOv5 of two stages and a head, of which each test spoils something."""

from pathlib import Path

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.yolo.yolov5 import YOLOv5
from tests.deployments.checkpoints.checkpoint_writer import Weights, mapping, plain, write


def family_of(path: Path, labels: tuple[str, ...] | None = None) -> YOLOv5:
    """The family of a file, on a canvas of 128 x 192."""
    return YOLOv5(ModelDefinition(family="yolov5", weights=str(path), canvas_px=(128, 192), labels=labels))


class TinyNetwork:
    """A checkpoint with two stages and a head, of which each test spoils something."""

    def __init__(self) -> None:
        self.weights = Weights()
        self.stride = self.weights.tensor(np.array([8.0], np.float32))
        self.names: object = ["fish"]
        self.factor = 2.0
        self.classes: object = 1
        self.head_kind = "models.yolo.Detect"
        self.sources: object = [1]
        self.layer = self.stage("torch.nn.modules.activation.SiLU", 0, -1)

    def stage(self, kind: str, index: int, source: object, **more: bytes) -> bytes:
        return self.weights.module(kind, {}, None, i=index, f=source, **more)

    def convolution(self, channels: int, declared: int, size: int, held: int = 3) -> bytes:
        return self.weights.module(
            "torch.nn.modules.conv.Conv2d",
            {},
            {"weight": np.ones((channels, held, size, size), np.float32)},
            f=-1,
            out_channels=channels,
            in_channels=declared,
            kernel_size=(size, size),
            stride=(1, 1),
            padding=(size // 2, size // 2),
        )

    def head(self) -> bytes:
        members = self.weights.sequence("ModuleList", [self.convolution(18, 3, 1)])
        return self.weights.module(
            self.head_kind,
            {"m": members},
            {"anchors": np.ones((1, 3, 2), np.float32)},
            nc=self.classes,
            na=3,
            f=self.sources,
            stride=self.stride,
        )

    def write(self, path: Path) -> Path:
        upsample = self.stage(
            "torch.nn.modules.upsampling.Upsample", 1, -1, scale_factor=plain(self.factor), mode=plain("nearest")
        )
        stages = self.weights.sequence("Sequential", [self.layer, upsample, self.head()])
        network = self.weights.module("models.yolo.Model", {"model": stages}, names=self.names)
        return write(path, mapping({"model": network}), self.weights.storages)


def refused(network: TinyNetwork, tmp_path: Path, reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        family_of(network.write(tmp_path / "tiny.pt"))
