"""The route that cuts the animal in the middle out of its frame and has it named."""

import io
import json
from typing import Any

import cv2
import httpx
import numpy as np
import PIL.Image
import pytest

from deployments.errors import InternalError
from deployments.external import Task
from deployments.prediction import Opaque
from serve_app.faces.legacy.segmentation import cut_out
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.legacy.external_workers import BOXES, CORAL, OUTLINES, frame, masks, post

pytestmark = pytest.mark.usefixtures("external_workers")


def reference_cut_out(rgb: np.ndarray[Any, Any], outline: object) -> np.ndarray[Any, Any]:
    """The same by other means: OpenCV's own masked copy."""
    mask = np.zeros(rgb.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.array(outline, np.int32)], 255)
    side_px = int(rgb.shape[1] * 0.01)
    mask = cv2.dilate(mask, np.ones((side_px, side_px), np.uint8), iterations=1)
    return cv2.copyTo(rgb, mask)


@pytest.mark.parametrize(("width", "margin_px"), [(60, 1), (100, 0), (500, 2)])
def test_an_animal_is_cut_out_along_its_grown_outline(width: int, margin_px: int) -> None:
    rgb = np.random.default_rng(1).integers(1, 256, (50, width, 3), np.uint8)
    cut = cut_out(rgb, OUTLINES[1])
    assert np.array_equal(cut, reference_cut_out(rgb, OUTLINES[1]))
    assert cut[45, 5].tolist() == [0, 0, 0]
    assert np.array_equal(cut[20, 20], rgb[20, 20])
    assert cut[20, 10 - margin_px].any()
    assert not cut[20, 10 - margin_px - 1].any()


@pytest.mark.parametrize("outline", [[], [1, 2], [[1, 2, 3]], [["a", "b"]], None, [[1, float("inf")]]])
def test_an_outline_must_be_points(outline: Any) -> None:
    with pytest.raises(InternalError, match=r"list of points \[x, y\]"):
        cut_out(np.zeros((4, 4, 3), np.uint8), outline)


@pytest.mark.parametrize("path", ["/filet_predictor/", "/filet_predictor", "/model/v1/filet_predictor/"])
async def test_the_animal_in_the_middle_is_cut_out_and_named(
    client: httpx.AsyncClient, system: FakeSystem, path: str
) -> None:
    rows = b'[{"category_id": "Coral", "scores": [0.9], "bbox": [1, 2, 3, 4]}]'
    system.external_answers = [masks(0.95, 0.2, 0.1), Opaque(rows, CORAL)]
    answer = await post(client, path, model_type=CORAL)
    assert answer.status_code == 200, answer.text
    # The first mask fills the frame from top to bottom; the best of those is taken.
    assert answer.json() == {
        "success": True,
        "segments": {"poly": OUTLINES[0], "box": BOXES[0]},
        "predictions": json.loads(rows),
    }
    [(_, first), (queue, second)] = system.asked_external
    pixels = np.asarray(PIL.Image.open(io.BytesIO(frame())))
    assert (first.task, first.prompts) == (Task.SEGMENT, [{"x": 50, "y": 25}])
    assert np.array_equal(first.image.pixels, pixels)
    assert (queue, second.task) == (CORAL, Task.PREDICT)
    assert np.array_equal(second.image.pixels, reference_cut_out(pixels, OUTLINES[0]))
    assert second.deadline_s < first.deadline_s <= 5


async def test_a_cut_out_animal_can_be_shown_to_a_model_of_ours(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.external_answers = [masks(0.1, 0.3)]
    answer = await post(client, "/filet_predictor/", model_type="benthic-demo", max_detections="1")
    assert answer.status_code == 200, answer.text
    assert answer.json()["segments"]["poly"] == OUTLINES[0]  # 40 of 50 pixels high, so it fills the frame.
    assert list(answer.json()["predictions"][0]) == ["category_id", "scores", "bbox"]
    [(model, asked)] = system.asked
    assert (model, asked.options.max_detections) == ("benthic-demo", 1)


async def test_where_nothing_fills_the_frame_all_masks_count(client: httpx.AsyncClient, system: FakeSystem) -> None:
    small = [{"w": 10, "h": 10}, {"w": 70, "h": 35}]  # 0.7 of the frame, and not more
    system.external_answers = [masks(0.4, 0.6, box=small), Opaque(b"[]", CORAL)]
    answer = await post(client, "/filet_predictor/", model_type=CORAL)
    assert answer.json()["segments"] == {"poly": OUTLINES[1], "box": small[1]}


async def test_an_unknown_model_is_named_before_anything_is_cut_out(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    answer = await post(client, "/filet_predictor/", model_type="image_queue_nothing")
    assert answer.status_code == 404
    assert system.asked_external == []


async def test_without_a_worker_nothing_is_decoded(client: httpx.AsyncClient, system: FakeSystem) -> None:
    del system.records_now[-1]
    answer = await client.post("/filet_predictor/", files={"file": ("a.png", b"no picture")})
    assert answer.status_code == 404, answer.text


async def test_a_small_file_of_a_huge_frame_is_refused_before_it_is_decoded(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    buffer = io.BytesIO()
    PIL.Image.new("1", (6000, 6000)).save(buffer, "PNG")
    assert len(buffer.getvalue()) < 20_000
    answer = await client.post("/filet_predictor/", files={"file": ("a.png", buffer.getvalue())})
    assert answer.status_code == 413, answer.text
    assert "bytes" in answer.json()["detail"]
    assert system.asked_external == []


async def test_frames_give_their_bytes_back(client: httpx.AsyncClient, system: FakeSystem) -> None:
    for _ in range(20):  # of 30,000 bytes each, of which the door holds 400,000
        system.external_answers = [masks(0.95, 0.2, 0.1), Opaque(b"[]", CORAL)]
        assert (await post(client, "/filet_predictor/", model_type=CORAL)).status_code == 200
