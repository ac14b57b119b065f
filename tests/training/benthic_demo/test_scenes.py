"""The drawn scenes: deterministic, hard enough, and true to what they show."""

import numpy as np
import pytest

from training.benthic_demo.animals import ANIMALS, LABELS
from training.benthic_demo.scenes import SMALL_PX, Scene, draw_scene
from training.benthic_demo.seafloor import FRAME_PX
from training.benthic_demo.water import DARKER, TYPICAL


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [draw_scene(seed) for seed in range(40)]


def test_the_same_seed_draws_the_same_scene() -> None:
    first, second = draw_scene(5), draw_scene(5)
    assert np.array_equal(first.pixels, second.pixels)
    assert first.objects == second.objects


def test_another_seed_or_other_water_draws_another_scene() -> None:
    assert not np.array_equal(draw_scene(5).pixels, draw_scene(6).pixels)
    assert draw_scene(5, DARKER).pixels.mean() < 0.7 * draw_scene(5, TYPICAL).pixels.mean()


def test_a_scene_is_a_uint8_rgb_frame(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.pixels.dtype == np.uint8
        assert scene.pixels.shape == (*FRAME_PX, 3)


def test_at_least_a_quarter_of_the_objects_is_hard(scenes: list[Scene]) -> None:
    objects = [item for scene in scenes for item in scene.objects]
    assert len(objects) > 200
    assert sum(item.hard for item in objects) / len(objects) >= 0.25
    for flag in ("occluded", "blurred", "small"):
        assert any(getattr(item, flag) for item in objects)


def test_boxes_lie_in_the_frame_and_small_means_small(scenes: list[Scene]) -> None:
    height, width = FRAME_PX
    for item in (item for scene in scenes for item in scene.objects):
        x1, y1, x2, y2 = item.box_px
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert item.small == (max(x2 - x1, y2 - y1) < SMALL_PX)


def test_every_class_appears(scenes: list[Scene]) -> None:
    assert {item.label for scene in scenes for item in scene.objects} == set(LABELS)


@pytest.mark.parametrize("label", LABELS)
def test_every_animal_fills_its_sprite(label: str) -> None:
    sprite = ANIMALS[label](np.random.default_rng(0))
    assert sprite.dtype == np.uint8
    assert sprite.shape == (256, 256, 4)
    rows, columns = np.nonzero(sprite[..., 3] > 100)
    assert max(np.ptp(rows), np.ptp(columns)) > 180
