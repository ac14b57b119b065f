"""Write the three sample frames and their truth: `python -m training.benthic_demo.samples`."""

import json
from pathlib import Path
from typing import Any

import cv2

from deployments.families.demo.family import SHIPPED_WEIGHTS
from training.benthic_demo.scenes import Scene, draw_scene

SAMPLES_DIRECTORY = SHIPPED_WEIGHTS.parent / "samples"
TRUTH_NAME = "truth.json"

SEEDS: dict[str, int] = {
    "seafloor-1.png": 5_000_002,
    "seafloor-2.png": 5_000_036,
    "seafloor-3.png": 5_000_049,
}
"""File name to seed; far from the seeds of training (0..), validation (1e6..) and test (2e6..)."""


def write_samples(directory: Path = SAMPLES_DIRECTORY) -> None:
    """Draw the samples as PNG (960 x 540) and write `truth.json` beside them.

    The truth maps each file name to its seed, height, width and objects; an object has a `label`,
    a `bbox` (x1, y1, x2, y2 in pixels) and the flags `occluded`, `blurred` and `small`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    truth: dict[str, Any] = {}
    for name, seed in SEEDS.items():
        scene = draw_scene(seed)
        # cv2 writes BGR; a file is read back as RGB by everyone else.
        encoded = cv2.imencode(".png", scene.pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
        (directory / name).write_bytes(encoded.tobytes())
        truth[name] = _describe(scene, seed)
    (directory / TRUTH_NAME).write_text(json.dumps(truth, indent=1) + "\n")


def _describe(scene: Scene, seed: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "height": scene.pixels.shape[0],
        "width": scene.pixels.shape[1],
        "objects": [
            {
                "label": item.label,
                "bbox": list(item.box_px),
                "occluded": item.occluded,
                "blurred": item.blurred,
                "small": item.small,
            }
            for item in scene.objects
        ],
    }


if __name__ == "__main__":
    write_samples()
