"""Models that run elsewhere, behind the predict endpoint and the legacy server's segmenting routes."""

import io
import json
from typing import Any

import cv2
import httpx
import numpy as np
import PIL.Image
import pytest

from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    ModelNotFound,
    ModelUnavailable,
    Overloaded,
    ServingError,
)
from deployments.external import ExternalWorker, Task, no_external_workers, record_of
from deployments.prediction import Opaque
from serve_app.faces.legacy.segmentation import SAM_QUEUE, cut_out
from tests.serve_app.conftest import CountedAnswers, FakeSystem

SAM_PATHS = ("/sam", "/sam_v2", "/sam_multi", "/sam_multi_v2", "/sam-embed", "/filet_predictor")
CORAL = "image_queue_coral"
OUTLINES = [[[0, 0], [40, 0], [40, 40]], [[10, 10], [70, 10], [70, 40], [10, 40]], [[1, 1], [2, 1], [2, 2]]]
BOXES = [{"x": 0, "y": 0, "w": 40, "h": 40}, {"x": 10, "y": 10, "w": 60, "h": 30}, {"x": 1, "y": 1, "w": 1, "h": 1}]


def masks(*scores: float, **changes: object) -> Opaque:
    answer = {"box": BOXES[: len(scores)], "score": list(scores), "poly": OUTLINES[: len(scores)], **changes}
    return Opaque(json.dumps([answer]).encode(), SAM_QUEUE)


def frame(size_px: tuple[int, int] = (100, 50)) -> bytes:
    colours = np.random.default_rng(3).integers(1, 256, (size_px[1], size_px[0], 3), np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(colours).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def _workers(system: FakeSystem) -> None:
    system.records_now += [
        record_of(ExternalWorker(CORAL, "corals, by hand")),
        record_of(ExternalWorker(SAM_QUEUE)),
    ]


async def post(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    return await client.post(path, files={"file": ("a.png", frame())}, data=fields)


async def test_a_queue_of_an_external_worker_is_a_model_type(client: httpx.AsyncClient, system: FakeSystem) -> None:
    text = b'{"bboxes": [[1, 2, 3, 4]],  "confidences": [0.5]}'
    system.external_answers = [Opaque(text, CORAL)]
    answer = await post(client, "/predictor/", model_type=CORAL)
    assert answer.status_code == 200
    assert answer.content == b'{"success":true,"predictions":' + text + b"}"
    [(queue, asked)] = system.asked_external
    assert (queue, asked.task, asked.deadline_s) == (CORAL, Task.PREDICT, 5)
    assert asked.image.encoded is not None
    assert asked.image.encoded.tobytes() == frame()
    assert system.asked == []


@pytest.mark.parametrize("path", ["/predictor/", "/filet_predictor/"])
@pytest.mark.parametrize(
    "option",
    [
        {"score_threshold": "0.5"},
        {"iou_threshold": "0.5"},
        {"max_detections": "5"},
        {"classes": "coral"},
        {"tiling": "off"},
        {"tiling_overlap": "0.1"},
    ],
    ids=lambda option: next(iter(option)),
)
async def test_an_option_that_a_worker_elsewhere_does_not_know_is_refused(
    client: httpx.AsyncClient, system: FakeSystem, path: str, option: dict[str, str]
) -> None:
    answer = await post(client, path, model_type=CORAL, **option)
    assert answer.status_code == 422
    assert next(iter(option)) in answer.json()["detail"]
    assert CORAL in answer.json()["detail"]
    assert system.asked_external == []


async def test_an_empty_option_asks_nothing_of_a_worker_elsewhere(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.external_answers = [Opaque(b"[]", CORAL)]
    assert (await post(client, "/predictor/", model_type=CORAL, classes="")).status_code == 200


async def test_it_is_listed_as_external(client: httpx.AsyncClient) -> None:
    models = (await client.get("/v1/models")).json()["models"]
    assert [(model["name"], model["external"]) for model in models if model["name"] in (CORAL, "benthic-demo")] == [
        ("benthic-demo", False),
        (CORAL, True),
    ]
    one = (await client.get(f"/v1/models/{CORAL}")).json()
    assert (one["family"], one["queues"], one["state"]) == ("external", [CORAL], "ready")
    assert (one["description"], one["knobs"]) == ("corals, by hand", None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DeadlineExceeded("the external worker of queue q did not answer within 25 s"), 504),
        (ModelUnavailable("the queues cannot be reached"), 503),
        (Overloaded("64 jobs wait"), 429),
    ],
)
async def test_no_answer_is_a_problem(
    client: httpx.AsyncClient, system: FakeSystem, error: ServingError, status: int
) -> None:
    system.external_answers = [error]
    answer = await post(client, "/predictor", model_type=CORAL)
    assert answer.status_code == status
    assert (answer.json()["predictions"], answer.json()["detail"]) == (None, error.message)


async def test_while_the_queues_are_away_nobody_waits(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now[-2] = record_of(ExternalWorker(CORAL, "", "the queues cannot be reached"))
    answer = await post(client, "/predictor/", model_type=CORAL)
    assert answer.status_code == 503
    assert "the queues cannot be reached" in answer.json()["detail"]
    assert (await client.get("/health/ready")).json()["degraded"] == [
        {"model": CORAL, "state": "unhealthy", "reason": "the queues cannot be reached"}
    ]


@pytest.mark.parametrize("prefix", ["", "/model/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("path", "task"), [("/sam", Task.SEGMENT), ("/sam_v2", Task.SEGMENT_FILE)])
async def test_the_best_mask_is_answered(
    client: httpx.AsyncClient, system: FakeSystem, path: str, task: Task, slash: str, prefix: str
) -> None:
    system.external_answers = [masks(0.2, 0.95, 0.93, area=[1, 2, 3])]
    prompts = [{"x": 3, "y": 4}]
    answer = await post(client, f"{prefix}{path}{slash}", data=json.dumps(prompts))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "success": True,
        "predictions": [{"box": BOXES[1], "score": [0.2, 0.95, 0.93], "poly": OUTLINES[1], "area": [1, 2, 3]}],
    }
    [(queue, asked)] = system.asked_external
    assert (queue, asked.task, asked.prompts) == (SAM_QUEUE, task, prompts)


async def test_without_a_good_mask_the_first_of_the_best_is_answered(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.external_answers = [masks(0.5, 0.7, 0.7)]
    answer = await post(client, "/sam/", data="{}")
    assert answer.json()["predictions"][0]["poly"] == OUTLINES[1]


@pytest.mark.parametrize(("path", "task"), [("/sam_multi/", Task.SEGMENT), ("/sam_multi_v2", Task.SEGMENT_FILE)])
async def test_all_masks_are_answered_as_they_came(
    client: httpx.AsyncClient, system: FakeSystem, path: str, task: Task
) -> None:
    system.external_answers = [masks(0.5, 0.7)]
    payload = system.external_answers[0].payload  # type: ignore[union-attr]
    answer = await post(client, path, data='{"points": []}')
    assert answer.content == b'{"success":true,"predictions":' + payload + b"}"
    assert system.asked_external[0][1].task is task


@pytest.mark.parametrize("path", ["/sam-embed/", "/sam-embed", "/model/v1/sam-embed/"])
async def test_an_embedding_is_answered_as_bytes(client: httpx.AsyncClient, system: FakeSystem, path: str) -> None:
    system.external_answers = [Opaque(b"\x93NUMPY\x00", SAM_QUEUE)]
    answer = await post(client, path)
    assert (answer.status_code, answer.content) == (200, b"\x93NUMPY\x00")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert system.asked_external[0][1].task is Task.EMBED


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


@pytest.mark.parametrize("path", SAM_PATHS)
async def test_without_a_worker_nobody_waits(client: httpx.AsyncClient, system: FakeSystem, path: str) -> None:
    del system.records_now[-1]
    answer = await post(client, f"{path}/", data="[]")
    assert answer.status_code == 404
    assert answer.json()["detail"] == f"no external worker is known for queue {SAM_QUEUE}, which segments images"
    assert (answer.json()["success"], answer.json()["predictions"]) == (False, None)
    assert system.asked_external == []


@pytest.mark.parametrize("path", SAM_PATHS)
async def test_no_answer_of_the_worker_is_a_problem(client: httpx.AsyncClient, system: FakeSystem, path: str) -> None:
    system.external_answers = [DeadlineExceeded("the external worker did not answer within 5 s")]
    answer = await post(client, path, data="[]")
    assert answer.status_code == 504
    assert answer.json()["predictions"] is None


WRONG_ANSWERS = {
    "no list": b'{"box": []}',
    "nothing": b"[]",
    "no masks": b'[{"box": [], "score": [], "poly": []}]',
    "a member missing": b'[{"box": [{"w": 1, "h": 1}], "score": [0.5]}]',
    "different lengths": b'[{"box": [{"w": 1, "h": 1}], "score": [0.5, 0.6], "poly": [[[0, 0]], [[1, 1]]]}]',
    "scores of text": b'[{"box": [{"w": 1, "h": 1}], "score": ["0.5"], "poly": [[[0, 0]]]}]',
    "boxes without size": b'[{"box": [[1, 2, 3, 4]], "score": [0.5], "poly": [[[0, 0]]]}]',
}


@pytest.mark.parametrize("text", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS.keys())
async def test_an_answer_without_masks_is_said_to_be_one(
    client: httpx.AsyncClient, system: FakeSystem, text: bytes
) -> None:
    system.external_answers = [Opaque(text, SAM_QUEUE)]
    answer = await post(client, "/sam/", data="[]")
    assert answer.status_code == 500
    assert f"the external worker of queue {SAM_QUEUE} must answer" in answer.json()["detail"]


async def test_prompts_must_be_json(client: httpx.AsyncClient, system: FakeSystem) -> None:
    answer = await post(client, "/sam/")
    assert answer.status_code == 422
    assert "field 'data' is missing" in answer.json()["detail"]
    answer = await post(client, "/sam_multi_v2/", data="[{x: 1}]")
    assert answer.status_code == 422
    assert "data must be JSON" in answer.json()["detail"]
    assert "[{x: 1}]" in answer.json()["detail"]
    answer = await client.post("/sam/", data={"data": "[]"})
    assert answer.status_code == 422
    assert system.asked_external == []


async def test_many_prompts_fit(client: httpx.AsyncClient, system: FakeSystem) -> None:
    prompts = [{"x": number, "y": number} for number in range(4000)]
    system.external_answers = [masks(0.5)]
    answer = await post(client, "/sam_multi/", data=json.dumps(prompts))
    assert answer.status_code == 200, answer.text
    assert system.asked_external[0][1].prompts == prompts


async def test_another_method_is_refused_in_the_form_of_the_legacy_routes(
    client: httpx.AsyncClient, counted: CountedAnswers
) -> None:
    answer = await client.get("/model/v1/sam/")
    assert answer.status_code == 405
    assert answer.json()["predictions"] is None
    assert counted.answers == [("/sam/", 405)]


async def test_each_route_is_counted_by_itself(
    client: httpx.AsyncClient, counted: CountedAnswers, system: FakeSystem
) -> None:
    system.external_answers = [masks(0.5)]
    await post(client, "/sam/", data="[]")
    assert counted.answers == [("/sam/", 200)]


async def test_a_system_without_external_workers_says_so() -> None:
    assert isinstance(await no_external_workers("q", None), ModelNotFound)  # type: ignore[arg-type]
