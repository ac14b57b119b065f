"""The ground the animals lie on: sediment, stones, burrows and dead clutter."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.benthic_demo.brush import Brush, Colour, mix, tint

FRAME_PX = (540, 960)
"""Height and width of every drawn frame."""

_SEDIMENT: tuple[Colour, ...] = (
    (132, 150, 122),
    (150, 146, 116),
    (150, 128, 100),
    (134, 136, 130),
    (104, 140, 124),
)
_STONE: tuple[Colour, ...] = ((70, 74, 70), (96, 86, 74), (58, 62, 68), (112, 108, 98))


def draw_seafloor(rng: np.random.Generator) -> NDArray[np.float32]:
    """Paint an empty seafloor: float32 RGB (540, 960, 3), 0..255, lit evenly, no water."""
    height, width = FRAME_PX
    relief = sum(
        (noise(rng, cell_px) * strength for cell_px, strength in _octaves(rng)),
        np.zeros(FRAME_PX, np.float32),
    )
    if rng.random() < 0.4:
        relief += _ripples(rng)
    floor = np.asarray(tint(rng, _SEDIMENT, 9.0), np.float32) * (1.0 + _recede(relief))[..., None]
    patch = np.clip(noise(rng, 220) * 0.5, 0, 1)[..., None]
    floor = floor * (1 - 0.4 * patch) + np.asarray(tint(rng, _SEDIMENT, 9.0)) * 0.4 * patch
    floor = np.ascontiguousarray(floor, np.float32)
    for _ in range(int(rng.integers(4, 26))):
        _dig_burrow(rng, floor)
    for _ in range(int(rng.integers(10, 160))):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        shade = float(rng.uniform(0.5, 1.35))
        radius = int(rng.integers(1, 4))
        cv2.circle(floor, (x, y), radius, (floor[y, x] * shade).tolist(), -1, cv2.LINE_AA)
    return floor


def noise(rng: np.random.Generator, cell_px: int) -> NDArray[np.float32]:
    """Smooth value noise over the frame, about unit variance, one bump per `cell_px` pixels."""
    height, width = FRAME_PX
    coarse = rng.standard_normal((height // cell_px + 3, width // cell_px + 3)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC))


def draw_stone(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A lumpy stone, RGBA uint8 (256, 256, 4); lit from above."""
    skin = tint(rng, _STONE, 8.0)
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    lumps = sum(rng.normal(0, 0.16 / k) * np.sin(k * angle + rng.uniform(0, 6.3)) for k in (2, 3, 5, 7))
    radius = np.clip(0.75 + lumps, 0.4, 0.97)
    outline = np.stack([radius * np.cos(angle), 0.8 * radius * np.sin(angle)], 1)
    brush = Brush(skin)
    brush.polygon(outline, mix(skin, (20, 22, 24), 0.35))
    brush.polygon(outline * 0.86 - [0.0, 0.1], skin)
    brush.polygon(outline * 0.5 - [0.08, 0.22], mix(skin, (225, 220, 205), 0.22))
    for _ in range(14):
        at = rng.uniform(-0.55, 0.5, 2)
        brush.disc((at[0], at[1]), rng.uniform(0.02, 0.07), mix(skin, (18, 20, 20), 0.4))
    return brush.sprite(rng)


def draw_sponge(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A pale lump of tubes: clutter with no label, RGBA uint8 (256, 256, 4)."""
    skin = tint(rng, ((196, 190, 150), (170, 176, 160), (150, 132, 110)), 10.0)
    brush = Brush(skin)
    for _ in range(int(rng.integers(4, 9))):
        x, top, wide = rng.uniform(-0.6, 0.6), rng.uniform(-0.8, 0.0), rng.uniform(0.14, 0.26)
        tube = np.array([[x, top], [0.5 * x, 0.9]])
        brush.line(tube, mix(skin, (60, 60, 50), rng.uniform(0.0, 0.4)), 2 * wide)
        brush.ellipse((x, top - 0.02), (wide * 0.7, wide * 0.4), mix(skin, (20, 20, 20), 0.7))
    return brush.sprite(rng)


def _octaves(rng: np.random.Generator) -> tuple[tuple[int, float], ...]:
    rough = rng.uniform(0.7, 1.5)
    return (150, 0.07), (60, 0.05 * rough), (22, 0.045 * rough), (8, 0.05 * rough), (3, 0.035)


def _ripples(rng: np.random.Generator) -> NDArray[np.float32]:
    height, width = FRAME_PX
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    turn, period_px = rng.uniform(-0.5, 0.5), rng.uniform(28, 60)
    phase = (rows * np.cos(turn) + columns * np.sin(turn)) / period_px + noise(rng, 130) * 0.35
    return np.asarray(np.sin(2 * np.pi * phase) * rng.uniform(0.03, 0.09), np.float32)


def _recede(relief: NDArray[np.float32]) -> NDArray[np.float32]:
    # Rows crowd together towards the top, as on a floor seen at a slant.
    height, width = FRAME_PX
    share = np.linspace(0, 1, height, dtype=np.float32)
    source = (share**0.65) * (height - 1)
    rows = np.repeat(source[:, None], width, 1)
    columns = np.repeat(np.arange(width, dtype=np.float32)[None], height, 0)
    return np.asarray(cv2.remap(relief, columns, rows, cv2.INTER_LINEAR))


def _dig_burrow(rng: np.random.Generator, floor: NDArray[np.float32]) -> None:
    height, width = FRAME_PX
    x, y = int(rng.integers(width)), int(rng.integers(height))
    radius = rng.uniform(2, 9) * (0.5 + y / height)
    axes = (max(1, round(radius * 1.6)), max(1, round(radius * 0.8)))
    rim, hole = (floor[y, x] * 1.16).tolist(), (floor[y, x] * 0.5).tolist()
    cv2.ellipse(floor, (x, y + 1), (axes[0] + 2, axes[1] + 2), 0, 0, 360, rim, -1, cv2.LINE_AA)
    cv2.ellipse(floor, (x, y), axes, 0, 0, 360, hole, -1, cv2.LINE_AA)
