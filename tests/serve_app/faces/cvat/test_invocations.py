"""Calls of a function, as CVAT sends them, and what it makes of the answers."""

import httpx
import numpy as np
import pytest

from deployments.errors import ModelUnavailable
from deployments.prediction import ClassScores, Detections, Masks, Prediction
from serve_app.faces.cvat import annotations
from tests.serve_app.conftest import CountedAnswers, FakeSystem, record
from tests.serve_app.faces.cvat.nuclio import found, invoke, pixels_of
from tests.serve_app.uploads import picture

SIZE_PX = (50, 100)


def animals(*boxes: tuple[float, float, float, float], **more: object) -> Prediction:
    """Crabs, with these boxes."""
    count = len(boxes)
    result = Detections(
        boxes=np.array(boxes, np.float32),
        scores=np.linspace(0.9, 0.5, count, dtype=np.float32),
        class_ids=np.zeros(count, np.int32),
        labels=("Crab",) * count,
        **more,  # type: ignore[arg-type]
    )
    return Prediction(result, SIZE_PX, "demo", "1")


async def test_a_detector_answers_rectangles(
    client: httpx.AsyncClient, system: FakeSystem, counted: CountedAnswers
) -> None:
    first, second = await found(client, "benthic-demo", picture())
    assert first.pop("points") == pytest.approx([10, 10, 50, 30])
    assert second.pop("points") == pytest.approx([50, 25, 90, 45])
    assert first == {"label": "fixed answer A", "confidence": "0.9000", "type": "rectangle"}
    assert second == {"label": "fixed answer B", "confidence": "0.6000", "type": "rectangle"}
    assert system.asked[0][1].options.score_threshold is None
    assert counted.answers == [("/api/function_invocations/", 200)]


async def test_a_threshold_is_the_models(client: httpx.AsyncClient, system: FakeSystem) -> None:
    [only] = await found(client, "benthic-demo", picture(), threshold=0.7)
    assert only["label"] == "fixed answer A"
    assert system.asked[0][1].options.score_threshold == 0.7


async def test_a_mask_is_its_pixels_and_their_place(client: httpx.AsyncClient, system: FakeSystem) -> None:
    grid = np.zeros((25, 50), bool)
    grid[5:15, 10:30] = True
    grid[5, 10] = False
    system.fails_with = animals((20, 10, 60, 30), masks=Masks.of(1, lambda index: grid, grid.shape))
    [one] = await found(client, "benthic-demo", picture())
    assert (one["type"], one["mask"][-4:]) == ("mask", [20, 10, 59, 29])
    assert np.array_equal(pixels_of(one, SIZE_PX), np.kron(grid, np.ones((2, 2), bool)))
    assert len(one["points"]) % 2 == 0
    assert len(one["points"]) >= 6


@pytest.mark.parametrize("grid_px", [(3, 7), (50, 100), (64, 160), (1, 1)])
async def test_a_mask_of_any_grid_covers_the_pixels_whose_middle_it_has(
    client: httpx.AsyncClient, system: FakeSystem, grid_px: tuple[int, int]
) -> None:
    grid = np.random.default_rng(3).random(grid_px) < 0.4
    grid[0, -1] = True
    system.fails_with = animals((0, 0, 100, 50), masks=Masks.of(1, lambda index: grid, grid_px))
    [one] = await found(client, "benthic-demo", picture())
    rows = [int((row + 0.5) * grid_px[0] / 50) for row in range(50)]
    columns = [int((column + 0.5) * grid_px[1] / 100) for column in range(100)]
    assert np.array_equal(pixels_of(one, SIZE_PX), grid[np.ix_(rows, columns)])


async def test_a_mask_without_pixels_is_its_box(client: httpx.AsyncClient, system: FakeSystem) -> None:
    nothing = np.zeros((25, 50), bool)
    system.fails_with = animals((1, 2, 3, 4), masks=Masks.of(1, lambda index: nothing, nothing.shape))
    [one] = await found(client, "benthic-demo", picture())
    assert (one["type"], one["points"]) == ("rectangle", [1, 2, 3, 4])


async def test_masks_beyond_the_limit_are_polygons() -> None:
    """Each covers the whole of a frame of 4K, so that the first fills what there is."""
    whole = np.ones((9, 16), bool)
    boxes = np.array([[0, 0, 3840, 2160]] * 3, np.float32)
    masks = Masks.of(3, lambda index: whole, whole.shape)
    result = Detections(boxes, np.ones(3, np.float32), np.zeros(3, np.int32), ("Crab",) * 3, masks)
    frame = Prediction(result, (2160, 3840), "demo", "1")
    first, *others = annotations.annotations_of(frame, None)
    assert (first["type"], len(first["mask"])) == ("mask", 2160 * 3840 + 4)
    assert [one["type"] for one in others] == ["polygon"] * 2
    assert all(len(one["points"]) >= 6 for one in others)
    assert annotations.mask_bytes(frame) == annotations.MASK_BYTES_PER_PX * annotations.MAX_MASK_PX


@pytest.mark.parametrize("degrees", [0, 30, 90, 200])
async def test_a_rotated_box_is_turned_about_its_middle(
    client: httpx.AsyncClient, system: FakeSystem, degrees: int
) -> None:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    upright = np.array([[-20, -5], [20, -5], [20, 5], [-20, 5]])
    corners = (upright @ turn.T + [50, 25]).astype(np.float32)[None]
    system.fails_with = animals((20, 10, 80, 40), corners=corners)
    [one] = await found(client, "benthic-demo", picture())
    assert one["type"] == "rectangle"
    assert one["points"] == pytest.approx([30, 20, 70, 30], abs=1e-3)
    assert one["rotation"] % 360 == pytest.approx(degrees, abs=1e-3)


@pytest.mark.parametrize(("threshold", "tags"), [(None, ["diatom"]), (0.4, ["diatom"]), (0.5, []), (0.9, [])])
async def test_a_classifier_tags_the_image_with_its_best_class(
    client: httpx.AsyncClient, system: FakeSystem, threshold: float | None, tags: list[str]
) -> None:
    system.records_now = [record("plankton", family="ultralytics-classify", labels=["copepod", "diatom"])]
    scores = ClassScores(np.array([0.25, 0.5], np.float32), ("copepod", "diatom"))
    system.fails_with = Prediction(scores, SIZE_PX, "plankton", "1")
    answered = await found(client, "plankton", picture(), threshold=threshold)
    assert [(one["label"], one["type"]) for one in answered] == [(tag, "tag") for tag in tags]
    assert system.asked[0][1].options.score_threshold is None


async def test_a_model_that_cannot_answer_says_so(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = ModelUnavailable("model benthic-demo is failed: no such file")
    answer = await invoke(client, "benthic-demo", {"image": "QQ=="})
    assert answer.status_code == 503
    assert answer.json()["error"] == "model benthic-demo is failed: no such file"
    assert answer.headers["retry-after"]
