"""Options of `/v1` by query, form and JSON: what reaches the model, and everything that is refused."""

import json
from typing import Any

import httpx
import pytest

from deployments.definition import Tiling
from deployments.request import Options
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.v1.predicting import PATH, base64_of, post_form, post_json, post_raw, problem_in
from tests.serve_app.uploads import picture

EXPECTED = Options(
    0.7, 0.3, 5, ("fixed answer A", "fixed answer B"), Tiling(tile_width_px=64, tile_height_px=128, overlap=0.5)
)
TEXTS: dict[str, Any] = {
    "score_threshold": "0.7",
    "iou_threshold": "0.3",
    "max_detections": "5",
    "classes": ["fixed answer A", "fixed answer B"],
    "tiling": "64x128",
    "tiling_overlap": "0.5",
}
MEMBERS = TEXTS | {"score_threshold": 0.7, "iou_threshold": 0.3, "max_detections": 5, "tiling_overlap": 0.5}


async def test_all_options_reach_the_model_from_query_form_and_json(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    for sent in (post_raw(client, picture(), **TEXTS), post_form(client, **TEXTS), post_json(client, **MEMBERS)):
        answer = await sent
        assert answer.status_code == 200, answer.text
    assert [request.options for _, request in system.asked] == [EXPECTED] * 3


@pytest.mark.parametrize("by_label", [{"fixed answer A": 0.95, "*": 0.5}])
async def test_thresholds_by_label(client: httpx.AsyncClient, system: FakeSystem, by_label: dict[str, float]) -> None:
    text = '{"fixed answer A": 0.95, "*": 0.5}'
    for sent in (
        post_raw(client, picture(), score_threshold=text),
        post_form(client, score_threshold=text),
        post_json(client, score_threshold=by_label),
    ):
        [entry] = (await sent).json()["images"]
        assert [one["label"] for one in entry["detections"]] == ["fixed answer B"]
    assert [request.options.score_threshold for _, request in system.asked] == [by_label] * 3


async def test_a_label_may_hold_a_comma(client: httpx.AsyncClient, system: FakeSystem) -> None:
    answer = await post_raw(client, picture(), classes="fixed answer A,fixed answer B")
    assert "no class 'fixed answer A,fixed answer B'" in problem_in(answer, 422)["detail"]


async def test_an_unknown_class_is_told_with_the_nearest(client: httpx.AsyncClient) -> None:
    detail = problem_in(await post_json(client, classes=["fixed answer a"]), 422)["detail"]
    assert "did you mean 'fixed answer A'" in detail


async def test_the_same_value_may_be_said_twice(client: httpx.AsyncClient, system: FakeSystem) -> None:
    body = {"image": base64_of(picture()), "score_threshold": 0.70, "max_detections": 5, "tiling": "OFF"}
    query = {"score_threshold": "0.7", "max_detections": ["5", "05"], "tiling": "off"}
    answer = await client.post(PATH, json=body, params=query)
    assert answer.status_code == 200, answer.text
    assert system.asked[0][1].options == Options(0.7, max_detections=5, tiling="off")


async def test_two_values_for_one_option_are_refused(client: httpx.AsyncClient) -> None:
    twice = [
        client.post(PATH, content=picture(), params={"iou_threshold": ["0.3", "0.4"]}),
        client.post(PATH, files={"image": picture()}, data={"iou_threshold": ["0.3", "0.4"]}),
        client.post(PATH, files={"image": picture()}, data={"iou_threshold": "0.3"}, params={"iou_threshold": 0.4}),
        client.post(PATH, json={"image": base64_of(picture()), "iou_threshold": 0.3}, params={"iou_threshold": 0.4}),
        client.post(PATH, json={"image": base64_of(picture()), "classes": ["a"]}, params={"classes": ["a", "b"]}),
    ]
    for sent in twice:
        assert "is given twice" in problem_in(await sent, 422)["detail"]


async def test_regions_reach_the_model_with_parts_of_pixels_rounded_outwards(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    sent = [{"x1": 10.9, "y1": 0, "x2": 50.1, "y2": 50}]
    text = json.dumps(sent)
    for answer in (
        await post_raw(client, picture(), regions=text),
        await post_form(client, regions=text),
        await post_json(client, regions=sent),
    ):
        assert answer.status_code == 200, answer.text
        [entry] = answer.json()["images"]
        assert (entry["width"], entry["height"]) == (100, 50)
        assert [one["box"]["x1"] for one in entry["detections"]] == pytest.approx([14.1, 30.5])
    assert [request.options for _, request in system.asked] == [Options(regions=((10, 0, 51, 50),))] * 3


async def test_a_region_outside_the_image_is_refused(client: httpx.AsyncClient, system: FakeSystem) -> None:
    detail = problem_in(await post_json(client, regions=[{**REGION, "x2": 500}]), 422)["detail"]
    assert detail == "regions[0] ends at x2 = 500, y2 = 9, outside the image of 100 x 50 pixels"


REGION = {"x1": 0, "y1": 0, "x2": 9.5, "y2": 9}

TEXT_REFUSALS = [
    ({"score_treshold": "0.5"}, ["score_treshold", "did you mean score_threshold?"]),
    ({"model_type": "other"}, ["model_type", "known:"]),
    ({"score_threshold": ""}, ["score_threshold is empty"]),
    ({"score_threshold": "{}"}, ["score_threshold is empty"]),
    ({"score_threshold": "2"}, ["score_threshold", "0 and 1", "2"]),
    ({"score_threshold": "high"}, ["score_threshold", "'high'"]),
    ({"score_threshold": '{"a": "b"}'}, ["score_threshold of 'a'", "'b'"]),
    ({"score_threshold": "{"}, ["score_threshold", "JSON"]),
    ({"iou_threshold": "nan"}, ["iou_threshold", "'nan'"]),
    ({"iou_threshold": "1e999"}, ["iou_threshold", "inf"]),
    ({"max_detections": "0.5"}, ["max_detections", "whole", "'0.5'"]),
    ({"max_detections": "1001"}, ["max_detections", "1000", "1001"]),
    ({"tiling": "yes"}, ["tiling", "WIDTHxHEIGHT", "'yes'"]),
    ({"tiling_overlap": "0.5"}, ["tiling_overlap has no effect without tiling"]),
    ({"tiling": "on", "tiling_overlap": "0.9"}, ["tiling_overlap", "0.8"]),
    ({"classes": " "}, ["classes is empty"]),
    ({"format": "jsn"}, ["format", "did you mean json?"]),
    ({"regions": "[{"}, ["regions must be JSON such as"]),
    ({"regions": "[]"}, ["regions", "1 to 16", "0 of them"]),
    ({"points": "1,2"}, ["points belong to models that segment", "/sam/"]),
]


@pytest.mark.parametrize(("options", "words"), TEXT_REFUSALS)
async def test_what_is_wrong_in_query_or_form_is_named(
    client: httpx.AsyncClient, system: FakeSystem, options: dict[str, str], words: list[str]
) -> None:
    for sent in (post_raw(client, picture(), **options), post_form(client, **options)):
        detail = problem_in(await sent, 422)["detail"]
        assert [word for word in words if word not in detail] == [], detail
    assert system.asked == []


JSON_REFUSALS = [
    ({"score_treshold": 0.5}, "did you mean score_threshold?"),
    ({"score_threshold": "0.5"}, "score_threshold must be a number"),
    ({"score_threshold": True}, "score_threshold must be a number"),
    ({"score_threshold": {"a": None}}, "score_threshold of 'a' must be a number"),
    ({"score_threshold": [0.5]}, "score_threshold must be a number"),
    ({"iou_threshold": 1.5}, "iou_threshold must be between 0 and 1, got 1.5"),
    ({"max_detections": 1.5}, "max_detections must be a whole number"),
    ({"max_detections": 1e300}, "max_detections must be between 1 and 1000, got 1e+300"),
    ({"max_detections": 1234567}, "max_detections must be between 1 and 1000, got 1234567"),
    ({"classes": "Crab"}, 'classes must be a list of labels such as ["Crab"]'),
    ({"classes": []}, "classes must be a list of labels"),
    ({"classes": [1]}, "classes must be a list of labels"),
    ({"tiling": True}, "tiling must be text"),
    ({"tiling": "on", "tiling_overlap": "0.5"}, "tiling_overlap must be a number"),
    ({"format": 1}, "format must be text"),
    ({"regions": {"x1": 0}}, "regions must be a list of 1 to 16"),
    ({"regions": [{"x1": 0, "y1": 0, "x2": 5}]}, "regions[0] must have x1, y1, x2, y2 and nothing else"),
    ({"regions": [{**REGION, "y2": "9"}]}, "regions[0].y2 must be a number of pixels, got '9'"),
    ({"regions": [REGION, {**REGION, "x2": 1e300}]}, "regions[1].x2 must be a number of pixels"),
    ({"regions": [{**REGION, "x2": -1}]}, "regions[0] must have 0 <= x1 < x2"),
    ({"regions": [REGION] * 17}, "regions must be a list of 1 to 16"),
    ({"points": [[1, 2]]}, "points belong to models that segment"),
]


@pytest.mark.parametrize(("members", "words"), JSON_REFUSALS)
async def test_what_is_wrong_in_json_is_named(
    client: httpx.AsyncClient, system: FakeSystem, members: dict[str, Any], words: str
) -> None:
    assert words in problem_in(await post_json(client, **members), 422)["detail"]
    assert system.asked == []


async def test_null_in_json_is_as_if_it_were_missing(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert (await post_json(client, score_threshold=None, classes=None)).status_code == 200
    assert system.asked[0][1].options == Options()


@pytest.mark.parametrize(
    ("definition", "answers"),
    [
        ({"family": "yolov5-classify"}, "class scores"),
        ({"family": "onnx", "parameters": {"task": "classifier"}}, "class scores"),
        ({"family": "huggingface"}, "class scores or an embedding"),
        ({"family": "huggingface", "parameters": {"answer": "embedding"}}, "an embedding"),
    ],
)
@pytest.mark.parametrize("option", ["score_threshold", "iou_threshold", "max_detections", "classes", "tiling"])
async def test_an_option_without_use_for_the_model_is_refused(
    client: httpx.AsyncClient, system: FakeSystem, definition: dict[str, Any], answers: str, option: str
) -> None:
    system.records_now[1] = record("other", **definition)
    path = "/v1/models/other/predict"
    answer = await post_raw(client, picture(), path, **{option: TEXTS[option]})
    assert f"{option} has no effect: other answers {answers} and no boxes" in problem_in(answer, 422)["detail"]
    assert system.asked == []
    assert (await post_raw(client, picture(), path)).status_code == 200


async def test_an_unknown_family_leaves_the_model_to_say_what_is_wrong(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.records_now[1] = record("other", family="of-tomorrow")
    answer = await post_raw(client, picture(), "/v1/models/other/predict", score_threshold="0.5")
    assert answer.status_code == 200
