"""What lies between the seafloor and the camera: light, water, snow and the sensor.

Optics in caricature: absorption by colour, back-scatter, a lamp's cone.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from training.benthic_demo.brush import Colour, tint
from training.benthic_demo.seafloor import FRAME_PX

Range = tuple[float, float]
_WATER: tuple[Colour, ...] = ((44, 104, 104), (36, 78, 110), (66, 110, 84), (28, 58, 84))
# Red goes first under water; the ratios are a rough fit to clear ocean water.
_ABSORPTION = np.array([1.5, 0.75, 0.85], np.float32)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Ranges from which one frame's water is drawn."""

    light: Range = (0.75, 1.15)
    """Scale of the lamps; 1 is bright."""

    turbidity: Range = (0.3, 1.0)
    """Optical depth at the far edge."""

    snow: tuple[int, int] = (20, 200)
    """Number of flakes."""

    blur_px: Range = (0.0, 0.8)
    """Gaussian sigma of the sensor's blur."""

    noise: Range = (1.0, 4.5)
    """Gaussian sigma of the sensor's noise, in grey levels."""


TYPICAL = Conditions()
"""The conditions that the model is trained and first tested in."""

DARKER = Conditions(light=(0.32, 0.5), noise=(3.0, 6.0))
"""Shifted: less than half of the light, more noise; never seen in training."""

MURKIER = Conditions(turbidity=(1.25, 1.8), snow=(250, 450), blur_px=(0.8, 1.4))
"""Shifted: murkier, snowier, softer; never seen in training."""


def flood(rng: np.random.Generator, floor: NDArray[np.float32], conditions: Conditions) -> NDArray[np.float32]:
    """Put lamp light and water over a painted floor, float32 RGB (540, 960, 3), 0..255."""
    height, width = FRAME_PX
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    centre = rng.uniform(0.4, 0.6) * width, rng.uniform(0.5, 0.75) * height
    spread = rng.uniform(0.42, 0.65) * width
    distance = ((columns - centre[0]) / spread) ** 2 + ((rows - centre[1]) / (0.8 * spread)) ** 2
    ambient = rng.uniform(0.3, 0.55)
    lamp = (ambient + (1.1 - ambient) * np.exp(-distance)) * rng.uniform(*conditions.light)
    far = 0.3 + 0.7 * (1.0 - rows / height) ** 1.4
    depth = (rng.uniform(*conditions.turbidity) * far)[..., None] * _ABSORPTION
    clear = np.exp(-depth)
    haze = np.asarray(tint(rng, _WATER, 8.0), np.float32) * (0.35 + 0.65 * lamp)[..., None]
    return np.asarray(floor * lamp[..., None] * clear + haze * (1.0 - clear), np.float32)


def snow(rng: np.random.Generator, frame: NDArray[np.float32], conditions: Conditions) -> NDArray[np.float32]:
    """Add marine snow: sharp flecks and a few soft, near flakes, drifting one way."""
    height, width = FRAME_PX
    flakes = np.zeros(FRAME_PX, np.float32)
    near = np.zeros(FRAME_PX, np.float32)
    drift = rng.normal(0, 2.0, 2)
    for _ in range(int(rng.integers(*conditions.snow))):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        soft = rng.random() < 0.08
        radius = int(rng.integers(3, 7)) if soft else int(rng.integers(1, 3))
        glow = float(rng.uniform(25, 60) if soft else rng.uniform(40, 140))
        ends = (round(x), round(y)), (round(x + drift[0]), round(y + drift[1]))
        cv2.line(near if soft else flakes, *ends, (glow,), radius, cv2.LINE_AA)
    veil = cv2.GaussianBlur(flakes, (0, 0), 0.7) + cv2.GaussianBlur(near, (0, 0), 2.5)
    lit = rng.uniform(*conditions.light)
    return np.asarray(frame + (veil * min(1.0, lit))[..., None], np.float32)


def expose(rng: np.random.Generator, frame: NDArray[np.float32], conditions: Conditions) -> NDArray[np.uint8]:
    """Blur, add sensor noise and quantise to uint8 RGB."""
    sigma_px = rng.uniform(*conditions.blur_px)
    if sigma_px > 0.25:
        frame = cv2.GaussianBlur(frame, (0, 0), sigma_px)
    grain = rng.standard_normal((*FRAME_PX, 3), dtype=np.float32) * rng.uniform(*conditions.noise)
    return np.clip(frame + grain, 0, 255).astype(np.uint8)
