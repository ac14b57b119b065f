"""Whole drawn scenes: a seafloor, its animals, the water, and the truth.

The same seed and conditions give the same bytes.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from training.benthic_demo.animals import ANIMALS, LABELS
from training.benthic_demo.overlay import add_clutter, add_overlay
from training.benthic_demo.seafloor import FRAME_PX, draw_seafloor, draw_sponge, draw_stone
from training.benthic_demo.water import TYPICAL, Conditions, expose, flood, snow

SMALL_PX = 24
"""An object whose longer visible side is shorter than this counts as small."""

_OCCLUDED_BELOW = 0.85
_DROP_BELOW = 0.2
_BLURRED_FROM_PX = 1.2
_NOBODY = -1


@dataclass(frozen=True, slots=True)
class DrawnObject:
    """One animal: its label, the box of its visible part (x1, y1, x2, y2 px), and why it is hard.

    `occluded`: less than 85 % of it shows. `blurred`: softened by a sigma of 1.2 px or more.
    `small`: the longer side of the box is under 24 px.
    """

    label: str
    box_px: tuple[float, float, float, float]
    occluded: bool
    blurred: bool
    small: bool

    @property
    def hard(self) -> bool:
        """Whether any of the three difficulties holds."""
        return self.occluded or self.blurred or self.small


@dataclass(frozen=True, slots=True)
class Scene:
    """A frame, uint8 RGB (540, 960, 3), and what it shows."""

    pixels: NDArray[np.uint8]
    objects: tuple[DrawnObject, ...]


@dataclass(slots=True)
class _Sheet:
    """The drawing so far: colours, and which animal owns each pixel."""

    floor: NDArray[np.float32]
    owner: NDArray[np.int16] = field(default_factory=lambda: np.full(FRAME_PX, _NOBODY, np.int16))
    areas: dict[int, int] = field(default_factory=dict)
    blurs_px: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Plan:
    label: str
    centre_px: tuple[float, float]
    size_px: float
    blur_px: float
    hidden: bool


def draw_scene(seed: int, conditions: Conditions = TYPICAL) -> Scene:
    """Draw one scene. Deterministic: every random choice comes from `seed`."""
    rng = np.random.default_rng([seed, 2026])
    sheet = _Sheet(draw_seafloor(rng))
    add_clutter(rng, sheet.floor)
    for _ in range(int(rng.integers(0, 6))):
        where = rng.uniform(0, FRAME_PX[1]), rng.uniform(0, FRAME_PX[0])
        _paste(sheet, _pose(rng, draw_stone(rng), rng.uniform(20, 150), 0.4), where, _NOBODY)
    plans = _plan_animals(rng)
    for owner, plan in enumerate(plans):
        _add_animal(rng, sheet, plan, owner)
    frame = snow(rng, flood(rng, sheet.floor, conditions), conditions)
    pixels = expose(rng, frame, conditions)
    add_overlay(rng, pixels)
    found = (_describe(sheet, plan.label, owner) for owner, plan in enumerate(plans))
    return Scene(pixels, tuple(item for item in found if item is not None))


def _plan_animals(rng: np.random.Generator) -> list[_Plan]:
    height, width = FRAME_PX
    plans: list[_Plan] = []
    for _ in range(int(rng.integers(4, 13))):
        small = rng.random() < 0.13
        for _attempt in range(12):
            x, y = rng.uniform(0.02, 0.98) * width, rng.uniform(0.06, 0.97) * height
            near = 0.6 + 0.6 * y / height
            size = rng.uniform(18, 25) if small else rng.uniform(42, 150) * near
            gaps = (np.hypot(x - p.centre_px[0], y - p.centre_px[1]) for p in plans)
            reach = ((size + p.size_px) * 0.4 for p in plans)
            if all(gap > apart for gap, apart in zip(gaps, reach, strict=True)):
                blur = float(rng.uniform(1.2, 2.2)) if not small and rng.random() < 0.14 else 0.0
                hidden = not small and rng.random() < 0.22
                label = LABELS[int(rng.integers(len(LABELS)))]
                plans.append(_Plan(label, (x, y), size, blur, hidden))
                break
    # Painting from the far edge to the near one lets near animals cover far ones.
    return sorted(plans, key=lambda plan: plan.centre_px[1])


def _add_animal(rng: np.random.Generator, sheet: _Sheet, plan: _Plan, owner: int) -> None:
    turns = {"Sea star": 3.2, "Urchin": 3.2, "Sea cucumber": 1.2, "Fish": 0.35, "Crab": 0.5}
    sprite = _pose(rng, ANIMALS[plan.label](rng), plan.size_px, turns.get(plan.label, 0.3))
    if plan.blur_px:
        margin = int(3 * plan.blur_px) + 1
        sprite = np.pad(sprite, ((margin, margin), (margin, margin), (0, 0)))
        sprite = np.asarray(cv2.GaussianBlur(sprite, (0, 0), plan.blur_px), np.float32)
    x, y = plan.centre_px
    drop = plan.size_px * (0.55 if plan.label == "Fish" else 0.1)
    _cast_shadow(sheet, (x + 0.1 * plan.size_px, y + drop), plan.size_px)
    _paste(sheet, sprite, plan.centre_px, owner)
    sheet.blurs_px[owner] = plan.blur_px
    if plan.hidden:
        cover = draw_stone(rng) if rng.random() < 0.6 else draw_sponge(rng)
        size = plan.size_px * rng.uniform(0.6, 0.85)
        angle, apart = rng.uniform(0, 2 * np.pi), 0.42 * plan.size_px
        where = x + np.cos(angle) * apart, y + np.sin(angle) * apart * 0.8
        _paste(sheet, _pose(rng, cover, size, 0.3), where, _NOBODY)


def _pose(
    rng: np.random.Generator, sprite: NDArray[np.uint8], size_px: float, turn_rad: float
) -> NDArray[np.float32]:
    """Turn, squash and reduce a sprite; the answer is premultiplied float32 RGBA."""
    side = sprite.shape[0]
    turn = cv2.getRotationMatrix2D(
        ((side - 1) / 2, (side - 1) / 2), float(np.degrees(rng.uniform(-turn_rad, turn_rad))), 0.8
    )
    solid = sprite.astype(np.float32)
    solid[..., :3] *= solid[..., 3:] / 255.0
    turned = cv2.warpAffine(solid, turn, (side, side), flags=cv2.INTER_LINEAR)
    # Drawn at 0.8 so that corners survive the turn; the size is grown back here.
    wide = max(6, round(size_px / 0.8 * rng.uniform(0.92, 1.08)))
    tall = max(6, round(size_px / 0.8 * rng.uniform(0.8, 1.0)))
    return np.asarray(cv2.resize(turned, (wide, tall), interpolation=cv2.INTER_AREA))


def _paste(sheet: _Sheet, sprite: NDArray[np.float32], centre_px: tuple[float, float], owner: int) -> None:
    tall, wide = sprite.shape[:2]
    left, top = round(centre_px[0] - wide / 2), round(centre_px[1] - tall / 2)
    rows = slice(max(0, top), max(0, min(FRAME_PX[0], top + tall)))
    columns = slice(max(0, left), max(0, min(FRAME_PX[1], left + wide)))
    part = sprite[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    coverage = part[..., 3:] / 255.0
    sheet.floor[rows, columns] = sheet.floor[rows, columns] * (1 - coverage) + part[..., :3]
    solid = part[..., 3] > 100
    sheet.owner[rows, columns][solid] = owner
    # The whole sprite counts, so an animal cut by the frame's edge is occluded too.
    sheet.areas[owner] = int((sprite[..., 3] > 100).sum())


def _cast_shadow(sheet: _Sheet, centre_px: tuple[float, float], size_px: float) -> None:
    mask = np.zeros(FRAME_PX, np.uint8)
    axes = max(2, round(size_px * 0.42)), max(1, round(size_px * 0.2))
    middle = round(centre_px[0]), round(centre_px[1])
    cv2.ellipse(mask, middle, axes, 0, 0, 360, (255.0,), -1)
    reach = round(size_px) + 8
    rows = slice(max(0, middle[1] - reach), max(0, middle[1] + reach))
    columns = slice(max(0, middle[0] - reach), max(0, middle[0] + reach))
    soft = cv2.GaussianBlur(mask[rows, columns], (0, 0), max(1.0, size_px * 0.09))
    sheet.floor[rows, columns] *= 1.0 - 0.5 * (soft.astype(np.float32) / 255.0)[..., None]


def _describe(sheet: _Sheet, label: str, owner: int) -> DrawnObject | None:
    rows, columns = np.nonzero(sheet.owner == owner)
    shown = len(rows) / max(1, sheet.areas[owner])
    if shown < _DROP_BELOW or len(rows) < 12:
        return None
    left, top = float(columns.min()), float(rows.min())
    right, bottom = float(columns.max()) + 1.0, float(rows.max()) + 1.0
    return DrawnObject(
        label,
        (left, top, right, bottom),
        occluded=shown < _OCCLUDED_BELOW,
        blurred=sheet.blurs_px[owner] >= _BLURRED_FROM_PX,
        small=max(right - left, bottom - top) < SMALL_PX,
    )
