"""Things in a frame that are not animals: cable, litter, laser dots and telemetry text."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.benthic_demo.seafloor import FRAME_PX


def add_clutter(rng: np.random.Generator, floor: NDArray[np.float32]) -> None:
    """Paint, in place, a cable or a drag mark and some shell grit on float32 RGB."""
    height, width = FRAME_PX
    if rng.random() < 0.25:
        along = np.linspace(-0.05, 1.05, 40)
        start, end, bow = rng.uniform(0, height, 3)
        across = start + (end - start) * along + (bow - height / 2) * np.sin(np.pi * along)
        line = np.stack([along * width, across], 1).round().astype(np.int32)
        thick = int(rng.integers(2, 8))
        shade = float(rng.uniform(25, 175))
        for offset, factor in ((2, 0.6), (0, 1.0)):
            colour = (shade * factor, shade * factor, shade * 0.95 * factor)
            cv2.polylines(floor, [line + np.array([0, offset], np.int32)], False, colour, thick, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 12))):
        middle = int(rng.integers(width)), int(rng.integers(height))
        axes = int(rng.integers(2, 6)), int(rng.integers(1, 4))
        glow = float(rng.uniform(170, 235))
        turn = float(rng.uniform(0, 180))
        cv2.ellipse(floor, middle, axes, turn, 0, 360, (glow, glow, glow * 0.9), -1, cv2.LINE_AA)


def add_overlay(rng: np.random.Generator, pixels: NDArray[np.uint8]) -> None:
    """Paint, in place, laser dots and telemetry text on some uint8 RGB frames."""
    height, width = FRAME_PX
    if rng.random() < 0.3:
        y, gap = rng.uniform(0.4, 0.7) * height, rng.uniform(60, 160)
        for side in (-1, 1):
            at = round(width / 2 + side * gap), round(y + rng.normal(0, 3))
            cv2.circle(pixels, at, 5, (220, 60, 60), -1, cv2.LINE_AA)
            cv2.circle(pixels, at, 2, (255, 205, 205), -1, cv2.LINE_AA)
    if rng.random() < 0.3:
        depth_m, heading_deg = rng.uniform(180, 3900), int(rng.integers(360))
        text = f"DEPTH {depth_m:7.1f} m   HDG {heading_deg:03d}   TEMP {rng.uniform(1.5, 6):4.2f} C"
        corner = (14, 24) if rng.random() < 0.5 else (14, height - 14)
        cv2.putText(pixels, text, corner, cv2.FONT_HERSHEY_SIMPLEX, 0.5, (60, 230, 230), 1, cv2.LINE_AA)
