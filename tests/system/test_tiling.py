"""A large frame is uploaded, and the form asks for tiles."""

import io
from typing import Any

import PIL.Image
import pytest

from tests.deployments.families.large_frames import Drawn, mosaic, recall
from tests.system.conftest import RunningSystem

pytestmark = pytest.mark.beside_others


@pytest.fixture(scope="module")
def large() -> tuple[bytes, list[Drawn]]:
    """A 4K frame as a JPEG, and the animals in it."""
    pixels, truth = mosaic()
    encoded = io.BytesIO()
    PIL.Image.fromarray(pixels).save(encoded, "JPEG", quality=95)
    return encoded.getvalue(), truth


def ask(system: RunningSystem, frame: bytes, **fields: str) -> Any:
    return system.http.post("/predictor/", files={"file": frame}, data={"max_detections": "1000", **fields})


def test_small_animals_are_found_where_the_form_asks_for_tiles(
    system: RunningSystem, large: tuple[bytes, list[Drawn]]
) -> None:
    frame, truth = large
    found = {}
    for tiling in ("off", "on"):
        answer = ask(system, frame, tiling=tiling)
        assert answer.status_code == 200, answer.text
        rows = answer.json()["predictions"]
        found[tiling] = recall([(row["category_id"], row["bbox"]) for row in rows], truth)
    assert found["on"] >= 0.85
    assert found["off"] <= 0.55


def test_tiles_too_small_for_the_frame_are_refused_with_the_limit(
    system: RunningSystem, large: tuple[bytes, list[Drawn]]
) -> None:
    answer = ask(system, large[0], tiling="320x320")
    assert answer.status_code == 422
    assert all(word in answer.json()["detail"] for word in ("tiling", "320 x 320", "3840 x 2160", "limit is 64"))
