"""Tiling asked for in the form: what reaches the model, and every way in which a form says it wrongly."""

from typing import Any

import httpx
import pytest

from deployments.definition import Tiling
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.uploads import picture


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"tiling": ""}, None),
        ({"tiling": "off"}, "off"),
        ({"tiling": "on"}, Tiling()),
        ({"tiling": "ON", "tiling_overlap": "0.5"}, Tiling(overlap=0.5)),
        ({"tiling": "1280x720"}, Tiling(tile_width_px=1280, tile_height_px=720)),
        ({"tiling": "640 X 640", "tiling_overlap": "0"}, Tiling(tile_width_px=640, tile_height_px=640, overlap=0)),
    ],
)
async def test_tiling_reaches_the_model(
    client: httpx.AsyncClient, system: FakeSystem, fields: dict[str, str], expected: Any
) -> None:
    answer = await client.post("/predictor/", files={"file": picture((8, 8))}, data=fields)
    assert answer.status_code == 200, answer.text
    assert [request.options.tiling for _, request in system.asked] == [expected]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tiling": "yes"}, ["tiling", "WIDTHxHEIGHT", "'yes'"]),
        ({"tiling": "640"}, ["tiling", "'640'"]),
        ({"tiling": "640x10"}, ["tiling", "tile_height_px", "64", "'10'"]),
        ({"tiling": "99999x640"}, ["tiling", "tile_width_px", "8192", "'99999'"]),
        ({"tiling": "on", "tiling_overlap": "0.9"}, ["tiling_overlap", "0.8", "'0.9'"]),
        ({"tiling": "on", "tiling_overlap": "half"}, ["tiling_overlap", "number", "'half'"]),
        ({"tiling": "on", "tiling_overlap": "nan"}, ["tiling_overlap", "'nan'"]),
        ({"tiling_overlap": "0.5"}, ["tiling_overlap", "tiling"]),
        ({"tiling": "off", "tiling_overlap": "0.5"}, ["tiling_overlap", "tiling"]),
    ],
)
async def test_a_wrong_tiling_is_named(
    client: httpx.AsyncClient, system: FakeSystem, fields: dict[str, str], words: list[str]
) -> None:
    answer = await client.post("/predictor/", files={"file": picture()}, data=fields)
    assert answer.status_code == 422
    assert [word for word in words if word not in answer.json()["detail"]] == []
    assert system.asked == []
