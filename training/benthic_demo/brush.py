"""A small paint brush: colour and coverage on one square sprite."""

import cv2
import numpy as np
from numpy.typing import NDArray

SPRITE_PX = 256
"""Side of every sprite; animals are drawn large here and then reduced."""

Colour = tuple[float, float, float]
"""RGB, each 0..255."""

# cv2 takes sub-pixel corners as integers scaled by 2**_SHIFT.
_SHIFT = 4


class Brush:
    """Paints shapes in unit coordinates: the sprite spans -1..1, x right and y down.

    `rgb` is uint8 (256, 256, 3) and `alpha` uint8 (256, 256); both grow with each stroke.
    """

    def __init__(self, ground: Colour) -> None:
        self.rgb = np.empty((SPRITE_PX, SPRITE_PX, 3), np.uint8)
        # The ground colour shows through anti-aliased edges, so it should suit the animal.
        self.rgb[:] = np.clip(ground, 0, 255)
        self.alpha = np.zeros((SPRITE_PX, SPRITE_PX), np.uint8)

    def polygon(self, points: NDArray[np.float64], colour: Colour) -> None:
        """Fill a polygon given as (N, 2) unit coordinates."""
        corners = [_to_fixed(points)]
        cv2.fillPoly(self.rgb, corners, _clip(colour), cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self.alpha, corners, (255.0,), cv2.LINE_AA, _SHIFT)

    def line(self, points: NDArray[np.float64], colour: Colour, width: float) -> None:
        """Draw an open polyline, (N, 2) unit coordinates, `width` in units too."""
        corners, thick = [_to_fixed(points)], max(1, round(width * SPRITE_PX / 2))
        cv2.polylines(self.rgb, corners, False, _clip(colour), thick, cv2.LINE_AA, _SHIFT)
        cv2.polylines(self.alpha, corners, False, (255.0,), thick, cv2.LINE_AA, _SHIFT)

    def taper(self, points: NDArray[np.float64], colour: Colour, widths: tuple[float, float]) -> None:
        """Draw a polyline whose width runs from widths[0] to widths[1], in units."""
        steps = np.linspace(widths[0], widths[1], len(points) - 1)
        for start, width in enumerate(steps):
            self.line(points[start : start + 2], colour, float(width))

    def disc(self, centre: tuple[float, float], radius: float, colour: Colour) -> None:
        """Fill a disc; centre and radius in units."""
        self.ellipse(centre, (radius, radius), colour)

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        colour: Colour,
        turn_rad: float = 0.0,
    ) -> None:
        """Fill an ellipse with half axes `radii`, turned by `turn_rad`."""
        angle = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
        x, y = radii[0] * np.cos(angle), radii[1] * np.sin(angle)
        cos, sin = np.cos(turn_rad), np.sin(turn_rad)
        self.polygon(np.stack([centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos], 1), colour)

    def sprite(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Return the painting as uint8 RGBA (256, 256, 4), with skin texture and shading."""
        rows = np.linspace(1.12, 0.72, SPRITE_PX, dtype=np.float32)[:, None]
        grain = rng.normal(1.0, 0.09, (24, 24)).astype(np.float32)
        light = rows * cv2.resize(grain, (SPRITE_PX, SPRITE_PX), interpolation=cv2.INTER_CUBIC)
        inside = cv2.GaussianBlur(self.alpha, (0, 0), 7).astype(np.float32) / 255.0
        # Edges darken as on a rounded body: the blurred coverage falls off towards them.
        light *= 0.62 + 0.38 * inside
        shaded = np.clip(self.rgb.astype(np.float32) * light[..., None], 0, 255)
        return np.dstack([shaded.astype(np.uint8), self.alpha])


def tint(rng: np.random.Generator, palette: tuple[Colour, ...], spread: float = 14.0) -> Colour:
    """Pick one colour of a palette and jitter it; the answer is RGB 0..255."""
    base = np.asarray(palette[int(rng.integers(len(palette)))]) * rng.uniform(0.85, 1.12)
    red, green, blue = np.clip(base + rng.normal(0.0, spread, 3), 0, 255)
    return float(red), float(green), float(blue)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Blend two colours; `share` 0 gives the first, 1 the second."""
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(first, second, strict=True))
    return red, green, blue


def _to_fixed(points: NDArray[np.float64]) -> NDArray[np.int32]:
    pixels = (np.asarray(points, np.float64) + 1.0) * (SPRITE_PX / 2) - 0.5
    return np.asarray(np.round(pixels * 2**_SHIFT), np.int32).reshape(-1, 1, 2)


def _clip(colour: Colour) -> Colour:
    red, green, blue = (float(min(255.0, max(0.0, value))) for value in colour)
    return red, green, blue
