"""What a file's settings may say, and what holds where they are missing: as the published variants have it."""

from typing import Any

import pytest

from deployments.errors import ModelUnavailable
from deployments.families.detr import rf_detr_sizes as sizes
from deployments.families.detr.rf_detr_settings import TrainedSettings
from deployments.families.detr.rf_detr_sizes import BACKBONE, DECODER, PATCHES, POSITIONS, PROJECTOR, TensorShapes


def shapes_of(width: int, patch_px: int, table: int, joined: int, places: int) -> TensorShapes:
    return TensorShapes(
        {
            f"{PATCHES}.weight": (width, 3, patch_px, patch_px),
            POSITIONS: (1, table + 1, width),
            f"{PROJECTOR}.stages.0.0.cv1.conv.weight": (256, joined, 1, 1),
            f"{DECODER}.layers.0.cross_attn.attention_weights.weight": (places, 256),
            **{f"{BACKBONE}.encoder.layer.{index}.norm1.weight": (width,) for index in range(12)},
        }
    )


NOTHING = TrainedSettings({})


def test_without_settings_the_variants_of_2026_are_known_by_their_patches() -> None:
    shapes = shapes_of(384, 16, 24 * 24, 4 * 384, 32)
    assert sizes.patch(shapes) == (16, 384)
    assert sizes.windows(NOTHING, 16) == 2
    assert sizes.features(shapes, NOTHING, 16, 12) == (3, 6, 9, 12)
    assert sizes.self_heads(NOTHING, 256) == 8
    assert sizes.cross_attention(shapes, NOTHING, 256, 1) == sizes.CrossAttention(heads=16, points=2)
    assert sizes.positions(shapes, NOTHING, 16, None) == (24, 24)


def test_without_settings_the_base_and_large_of_2025_are_known_by_their_patches() -> None:
    base = shapes_of(384, 14, 37 * 37, 4 * 384, 32)
    assert sizes.windows(NOTHING, 14) == 4
    assert sizes.features(base, NOTHING, 14, 12) == (2, 5, 8, 11)
    large = shapes_of(768, 14, 37 * 37, 4 * 768, 24 * 4 * 2)
    assert sizes.self_heads(NOTHING, 384) == 12
    assert sizes.cross_attention(large, NOTHING, 384, 2) == sizes.CrossAttention(heads=24, points=4)


def test_other_patches_need_their_settings() -> None:
    with pytest.raises(ModelUnavailable, match="give None windows for patches of 12 pixels"):
        sizes.windows(NOTHING, 12)
    assert sizes.windows(TrainedSettings({"num_windows": 1}), 12) == 1
    with pytest.raises(ModelUnavailable, match=r"reads 1536 channels of 12 blocks of 384.*\(None\)"):
        sizes.features(shapes_of(384, 12, 1, 4 * 384, 1), NOTHING, 12, 12)


@pytest.mark.parametrize(
    ("settings", "canvas_px", "expected"),
    [
        ({"resolution": 640}, None, (40, 40)),
        ({"resolution": [512, 800]}, None, (32, 50)),
        ({"resolution": "512x800"}, (640, 640), (32, 50)),
        ({"positional_encoding_size": (50, 32), "resolution": 640}, None, (50, 32)),
        ({"positional_encoding_size": 24, "resolution": 384}, (512, 800), (40, 40)),
        ({}, (512, 800), (40, 40)),
    ],
)
def test_a_table_has_the_shape_that_fits_its_count(settings: Any, canvas_px: Any, expected: tuple[int, int]) -> None:
    shapes = shapes_of(384, 16, 1600, 4 * 384, 32)
    assert sizes.positions(shapes, TrainedSettings(settings), 16, canvas_px) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (384, (384, 384)),
        ("960x1728", (960, 1728)),
        ("960 X 1728", (960, 1728)),
        ([960, 1728], (960, 1728)),
        ((960, 1728), (960, 1728)),
        ("960", None),
        ("9x6x0", None),
        ("²x3", None),
        ("-1x3", None),
        (True, None),
        (0, None),
        (-384, None),
        (2**21, None),
        (384.0, None),
        ([384], None),
        ([384, None], None),
        ("9" * 100, None),
        (None, None),
    ],
)
def test_sizes_are_read_from_whatever_trainers_wrote(value: object, expected: object) -> None:
    assert TrainedSettings({"resolution": value}).size("resolution") == expected


@pytest.mark.parametrize("value", [[], [1, -2], [1, "2"], "123", 5, [2**21], [1] * 61, {1: 2}])
def test_lists_that_are_none_count_as_missing(value: object) -> None:
    assert TrainedSettings({"out_feature_indexes": value}).integers("out_feature_indexes") is None
