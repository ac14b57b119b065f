"""What each kind of model finds, in each kind of tag."""

import dataclasses

import httpx
import numpy as np
import pytest

from deployments.errors import InvalidRequest
from deployments.prediction import Detections, Masks, Prediction
from serve_app.faces.label_studio.label_config import MAX_CONTROLS, read_config
from serve_app.faces.label_studio.regions import MAX_BRUSH_BYTES, MAX_POINTS, MAX_RESULTS
from serve_app.faces.label_studio.regions import results_of as found_in
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.label_studio.asking import config_of, read_brush, refusal_of, request_of, results_of, tag
from tests.serve_app.faces.v1.predicting import EMBEDDING, SCORES, prediction, two_animals

CLASSIFIER = {"family": "ultralytics-classify", "weights": "x.pt"}


def boxes_only(**more: object) -> Detections:
    return Detections(
        np.array([[20, 10, 60, 30], [-1, 0, 8, 51]], np.float32),
        np.array([0.75, 0.5], np.float32),
        np.array([3, 1], np.int32),
        ("Crab", "Fish"),
        **more,  # type: ignore[arg-type]
    )


async def test_boxes_in_percent_of_the_image(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(boxes_only())
    found = await results_of(client, request_of(config=config_of(tag("RectangleLabels", "Crab", "Fish"))))
    first, second = found
    assert first.pop("id") != second["id"]
    assert first == {
        "from_name": "rectanglelabels",
        "to_name": "image",
        "type": "rectanglelabels",
        "original_width": 100,
        "original_height": 50,
        "image_rotation": 0,
        "value": {"x": 20, "y": 20, "width": 40, "height": 40, "rotation": 0, "rectanglelabels": ["Crab"]},
        "score": 0.75,
    }
    # A box that sticks out ends at the edge.
    value = second["value"]
    assert (value["x"], value["y"], value["width"], value["height"]) == (0, 0, 9, 100)


@pytest.mark.parametrize("is_reversed", [False, True])
async def test_a_rotated_box_is_turned_around_its_first_corner(
    is_reversed: bool, client: httpx.AsyncClient, system: FakeSystem
) -> None:
    # 20 wide and 10 high, turned clockwise by the angle of a 3-4-5 triangle.
    corners = np.array([[20, 10], [36, 22], [30, 30], [14, 18]], np.float32)
    if is_reversed:
        corners = corners[[0, 3, 2, 1]]
    system.fails_with = prediction(boxes_only(corners=np.stack([corners, corners])))
    config = config_of(tag("RectangleLabels", "Crab"), tag("PolygonLabels", "Crab"))
    rectangle, polygon = await results_of(client, request_of(config=config))
    value = rectangle["value"]
    assert [value[name] for name in ("x", "y", "width", "height")] == pytest.approx([20, 20, 20, 20], abs=1e-4)
    assert value["rotation"] == pytest.approx(36.8699, abs=1e-3)
    assert polygon["value"]["points"] == [pytest.approx([x, 2 * y]) for x, y in corners.tolist()]


async def test_masks_as_strokes_and_as_polygons(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(two_animals())
    config = config_of(tag("BrushLabels", "Crab", "Fish"), tag("PolygonLabels", "Crab", "Fish"))
    found = await results_of(client, request_of(config=config))
    assert [(one["type"], one["score"]) for one in found] == [
        ("brushlabels", 0.75),
        ("brushlabels", 0.5),
        ("polygonlabels", 0.75),
    ]
    assert found[0]["value"]["format"] == "rle"
    pixels = read_brush(bytes(found[0]["value"]["rle"])).reshape(50, 100, 4)[..., 3]
    expected = np.zeros((50, 100), np.uint8)
    expected[10:30, 20:60] = 255
    assert (pixels == expected).all()
    assert not read_brush(bytes(found[1]["value"]["rle"])).any()
    assert found[2]["value"]["closed"] is True
    assert [20, 20] in found[2]["value"]["points"]


async def test_key_points_that_are_seen(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(two_animals())
    [point] = await results_of(client, request_of(config=config_of(tag("KeyPointLabels", "Crab", "Fish"))))
    assert point["value"] == {"x": 21, "y": 22, "width": 0.5, "keypointlabels": ["Crab"]}
    assert point["score"] == 0.5


async def test_choices_of_a_classifier(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now = [record("benthic-demo", **CLASSIFIER)]
    system.fails_with = prediction(SCORES)
    for attributes, chosen in (
        ({}, ["D"]),
        ({"choice": "multiple"}, ["D"]),
        ({"choice": "multiple", "model_score_threshold": "0.2"}, ["D", "copepod"]),
        ({"model_score_threshold": "0.9"}, []),
    ):
        config = config_of(tag("Choices", 'value="D" predicted_values="diatom"', "copepod", **attributes))
        found = await results_of(client, request_of(config=config))
        assert [one["value"] for one in found] == ([{"choices": chosen}] if chosen else [])
    # The best class has no place here: nothing is chosen in its stead.
    assert await results_of(client, request_of(config=config_of(tag("Choices", "copepod")))) == []


async def test_scores_versions_and_thresholds(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(boxes_only(), "candidate", "7")
    tags = (
        tag("RectangleLabels", "Crab", "Fish", model_score_threshold="0.6"),
        tag("KeyPointLabels", "Crab", model_score_threshold="0.2"),
    )
    answer = await client.post("/label-studio/benthic-demo/predict", json=request_of(config=config_of(*tags)))
    [entry] = answer.json()["results"]
    assert [one["value"]["rectanglelabels"] for one in entry["result"]] == [["Crab"]]
    assert (entry["score"], entry["model_version"]) == (0.75, "candidate@7")
    assert answer.json()["model_version"] == "benthic-demo@1"
    assert system.asked[0][1].options.score_threshold == 0.2
    await results_of(client, request_of(config=config_of(tags[0], tag("BrushLabels", "Crab"))))
    assert system.asked[1][1].options.score_threshold is None


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        (["BrushLabels"], "benthic-demo finds boxes, for which the labelling configuration needs RectangleLabels"),
        (["PolygonLabels", "KeyPointLabels"], "needs RectangleLabels"),
        (["Choices"], "benthic-demo answers boxes; the labelling configuration needs one of RectangleLabels"),
    ],
)
async def test_a_tag_that_the_model_cannot_fill_is_told(
    tags: list[str], reason: str, client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.fails_with = prediction(boxes_only())
    config = config_of(*(tag(kind, "Crab") for kind in tags))
    assert reason in await refusal_of(client, "/predict", request_of(config=config))


async def test_nothing_found_is_no_refusal(client: httpx.AsyncClient, system: FakeSystem) -> None:
    none = np.zeros(0, np.intp)
    system.fails_with = prediction(boxes_only().picked(none))
    answer = await client.post(
        "/label-studio/benthic-demo/predict", json=request_of(config=config_of(tag("BrushLabels", "Crab")))
    )
    assert answer.json()["results"] == [{"result": [], "score": None, "model_version": "benthic-demo@1"}]


async def test_an_embedding_has_no_place(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(EMBEDDING)
    assert "which Label Studio cannot show" in await refusal_of(client, "/predict", request_of())


async def test_too_many_strokes_are_refused(client: httpx.AsyncClient, system: FakeSystem) -> None:
    noise = np.indices((300, 300)).sum(axis=0) % 2 == 0
    animals = boxes_only().picked(np.array([0] * 5))
    animals = dataclasses.replace(animals, masks=Masks.of(5, lambda _: noise, noise.shape))
    system.fails_with = Prediction(animals, (1800, 1800), "benthic-demo", "1")
    sentence = await refusal_of(client, "/predict", request_of(config=config_of(tag("BrushLabels", "Crab"))))
    assert f"more than {MAX_BRUSH_BYTES} bytes as brush strokes" in sentence


def crowd(count: int, **more: object) -> Detections:
    """So many crabs in the same place."""
    return Detections(
        np.tile(np.array([[20, 10, 60, 30]], np.float32), (count, 1)),
        np.full(count, 0.75, np.float32),
        np.zeros(count, np.int32),
        ("Crab",) * count,
        **more,  # type: ignore[arg-type]
    )


def of_many_tags(kind: str) -> str:
    return config_of(*[tag(kind, "Crab")] * MAX_CONTROLS)


async def test_a_crowd_in_every_tag_of_many_is_refused(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(crowd(1000))
    sentence = await refusal_of(client, "/predict", request_of(config=of_many_tags("RectangleLabels")))
    assert f"more than {MAX_RESULTS} results" in sentence
    assert "model_score_threshold" in sentence


def test_outlines_without_end_are_refused() -> None:
    comb = np.zeros((4, 1000), bool)
    comb[0], comb[:, ::2] = True, True
    masks = Masks.of(10, lambda index: comb, comb.shape)
    config = read_config(of_many_tags("PolygonLabels"), "schema")
    with pytest.raises(InvalidRequest, match=f"more than {MAX_POINTS} points"):
        found_in(prediction(crowd(10, masks=masks)), config)
