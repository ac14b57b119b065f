"""What an image processor may say, and what becomes of images of odd shapes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.families.huggingface.image_processor import ImageProcessor, read_processor
from tests.deployments.families.huggingface.hub_folders import change, copy_of, family_of


def processor(folder: Path, layout: str = "vit", **fields: Any) -> ImageProcessor:
    change(copy_of(layout, folder / "model"), "preprocessor_config.json", **fields)
    return read_processor(folder / "model", "ViTImageProcessor")


@pytest.mark.parametrize(
    "size", [224, [224, 224], {"height": 224, "width": 224}, None], ids=["number", "list", "mapping", "default"]
)
def test_a_size_is_read_in_all_the_ways_in_which_it_is_written(tmp_path: Path, size: Any) -> None:
    assert processor(tmp_path, size=size).canvas_px == (224, 224)


def test_a_number_is_the_shortest_edge_where_images_are_cropped(tmp_path: Path) -> None:
    found = processor(tmp_path, "dinov2", size=70, crop_size=56)
    assert (found.canvas_px, found.shortest_edge_px) == ((56, 56), 70)
    assert found.for_canvas((112, 112)).shortest_edge_px == 140


def test_a_file_that_names_no_kind_is_of_the_usual_one(tmp_path: Path) -> None:
    old = {"image_processor_type": None, "do_rescale": None, "rescale_factor": None, "resample": None, "size": 224}
    found = processor(tmp_path, **old)
    assert (found.canvas_px, found.shortest_edge_px) == ((224, 224), None)
    np.testing.assert_allclose(found.gain, 2 / 255)
    folder = copy_of("dinov2", tmp_path / "dinov2")
    change(folder, "preprocessor_config.json", **old)
    assert read_processor(folder, "BitImageProcessor").shortest_edge_px == 224
    assert family_of(copy_of("vit", tmp_path / "vit")).canvas_px == (48, 48)


def test_a_name_of_an_earlier_release_is_known(tmp_path: Path) -> None:
    found = processor(tmp_path, image_processor_type=None, feature_extractor_type="ViTFeatureExtractor")
    assert found.canvas_px == (48, 48)


@pytest.mark.parametrize(
    ("fields", "gain", "offset"),
    [
        ({"image_mean": 0.25, "image_std": 0.5}, 2 / 255, -0.5),
        ({"image_mean": 0.25, "image_std": 0.5, "do_rescale": False}, 2, -0.5),
        ({"do_normalize": False}, 1 / 255, 0),
        ({"do_normalize": False, "do_rescale": False}, 1, 0),
        ({"do_normalize": False, "rescale_factor": 0.5}, 0.5, 0),
    ],
)
def test_steps_that_are_off_are_left_out(tmp_path: Path, fields: dict[str, Any], gain: float, offset: float) -> None:
    found = processor(tmp_path, **fields)
    np.testing.assert_allclose(found.gain, gain)
    np.testing.assert_allclose(found.offset, offset)


@pytest.mark.parametrize("shape", [(1, 60_000), (60_000, 1), (1, 1), (57, 4000)])
def test_images_of_odd_shapes_get_onto_the_canvas(tmp_path: Path, shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 77, np.uint8)
    for name, layout in (("a", "vit"), ("b", "dinov2")):
        canvas = processor(tmp_path / name, layout).apply(picture)
        assert canvas.shape == ((48, 48, 3) if layout == "vit" else (56, 56, 3))
        assert (canvas == 77).all()


def test_the_middle_is_cut_out(tmp_path: Path) -> None:
    picture = np.zeros((64, 256, 3), np.uint8)
    picture[:, 100:156] = 200
    assert (processor(tmp_path, "dinov2").apply(picture) == 200).all()


def test_an_image_of_the_right_size_stays_as_it_is(tmp_path: Path) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    assert processor(tmp_path).apply(picture) is picture
