"""Transposed convolutions by hand, and what is refused of those and of prototypes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.prototypes import PROTOTYPE_BLOCKS
from deployments.families.yolo.layers.torch_layers import LayerBuilder
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from tests.deployments.families.yolo.layers.module_stubs import NN, ModuleStubs

SIZES = {"in_channels": 2, "out_channels": 3, "kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 0)}


@pytest.fixture
def stubs(tmp_path: Path) -> ModuleStubs:
    return ModuleStubs(tmp_path)


def transposed(stubs: ModuleStubs, **changes: Any) -> Any:
    rng = np.random.default_rng(3)
    tensors = {"weight": rng.normal(size=(2, 3, 2, 2)).astype(np.float32), "bias": np.float32([1, 2, 3])}
    module = stubs.module(f"{NN}.conv.ConvTranspose2d", **(SIZES | {"output_padding": (0, 0)} | tensors | changes))
    return LayerBuilder(BLOCKS | PROTOTYPE_BLOCKS).build(stubs.read(module))


def test_each_place_becomes_four(stubs: ModuleStubs) -> None:
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(2, 3, 2, 2)).astype(np.float32)
    x = rng.normal(size=(2, 3, 4, 2)).astype(np.float32)
    found = np.asarray(transposed(stubs)(x))
    assert found.shape == (2, 6, 8, 3)
    for down in (0, 1):
        for across in (0, 1):
            wanted = x @ weight[:, :, down, across] + np.float32([1, 2, 3])
            np.testing.assert_allclose(found[:, down::2, across::2], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"stride": (1, 1)}, r"a transposed convolution of \(2, 2\) with stride \(1, 1\)"),
        ({"padding": (1, 1)}, "or padding is not supported"),
        ({"output_padding": (1, 1)}, "or padding is not supported"),
        ({"groups": 2}, "is not supported"),
        ({"kernel_size": (9, 9), "stride": (9, 9)}, "is not supported"),
        ({"kernel_size": (0, 0), "stride": (0, 0)}, "is not supported"),
        ({"in_channels": 4}, r"weights of shape \(2, 3, 2, 2\) .* expected \(4, 3, 2, 2\)"),
        ({"bias": np.zeros(4, np.float32)}, r"a bias of \(4,\), expected \(2, 3, 2, 2\)"),
    ],
)
def test_others_are_refused(stubs: ModuleStubs, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        transposed(stubs, **changes)


def test_other_channels_are_refused_when_it_runs(stubs: ModuleStubs) -> None:
    with pytest.raises(ModelUnavailable, match="a transposed convolution of 2 channels is given 3"):
        transposed(stubs)(np.zeros((1, 4, 4, 3), np.float32))
