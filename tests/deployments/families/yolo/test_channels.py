"""Networks whose images have other channels than red, green and blue."""

from pathlib import Path

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.yolo.yolov5 import YOLOv5
from tests.deployments.families.yolo.tiny_yolov5 import TinyNetwork, family_of, refused


def network_of(channels: int) -> TinyNetwork:
    """Its first stage adds up 3 x 3 pixels of all channels."""
    network = TinyNetwork()
    network.layer = network.convolution(3, channels, 3, held=channels)
    return network


def test_an_image_is_made_grey_for_a_network_of_one_channel(tmp_path: Path) -> None:
    import tensorflow as tf

    family = family_of(network_of(1).write(tmp_path / "grey.pt"))
    image = np.full((128, 192, 3), (200, 100, 50), np.uint8)
    canvas = family.preprocess(image).canvas
    grey = round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)
    assert canvas.shape == image.shape
    assert (canvas == grey).all()
    (found,) = family.build_graph().features(tf.constant(canvas[None]))
    assert float(found[0, 100, 100, 0]) == pytest.approx(9 * grey / 255, rel=1e-5)


def test_other_channels_are_refused_with_the_file(tmp_path: Path) -> None:
    told = r"tiny\.pt: the network takes images of 4 channels, but family 'yolov5' has those of 1 or 3"
    refused(network_of(4), tmp_path, told)
    refused(network_of(0), tmp_path, "images of 0 channels")


def test_the_legacy_worker_knew_colours_only(tmp_path: Path) -> None:
    path = network_of(1).write(tmp_path / "grey.pt")
    definition = ModelDefinition(family="yolov5", weights=str(path), parameters={"legacy_worker": True})
    with pytest.raises(ModelUnavailable, match="legacy_worker takes colours, but this network takes grey images"):
        YOLOv5(definition)
