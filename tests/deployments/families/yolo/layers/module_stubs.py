"""Stubs of modules for the tests of layers and heads, as the reader makes them from a file."""

from pathlib import Path
from typing import Any

import numpy as np

from deployments.checkpoints import ModuleStub, open_checkpoint
from tests.deployments.checkpoints.checkpoint_writer import Weights, mapping, write

NN = "torch.nn.modules"
CONV = {
    "in_channels": 4,
    "out_channels": 8,
    "kernel_size": (3, 3),
    "stride": (1, 1),
    "padding": (1, 1),
    "dilation": (1, 1),
    "groups": 1,
}


class ModuleStubs:
    """Makes stubs as the reader would, by way of a file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._weights = Weights()

    def module(self, kind: str, children: dict[str, bytes] | None = None, **more: Any) -> bytes:
        tensors = {key: value for key, value in more.items() if isinstance(value, np.ndarray)}
        plain = {key: value for key, value in more.items() if not isinstance(value, np.ndarray)}
        return self._weights.module(kind, children, tensors, **plain)

    def read(self, module: bytes) -> ModuleStub:
        path = write(self._folder / "stub.pt", mapping({"model": module}), self._weights.storages)
        self.checkpoint = open_checkpoint(path)
        return self.checkpoint.network()

    def conv(self, weight: np.ndarray | None = None, **changes: Any) -> bytes:
        values = np.ones((8, 4, 3, 3), np.float32) if weight is None else weight
        return self.module(f"{NN}.conv.Conv2d", weight=values, **(CONV | changes))

    def norm(self, channels: int) -> bytes:
        ones = np.ones(channels, np.float32)
        statistics = {"running_mean": ones, "running_var": ones, "weight": ones, "bias": ones}
        return self.module(f"{NN}.batchnorm.BatchNorm2d", eps=1e-3, **statistics)
