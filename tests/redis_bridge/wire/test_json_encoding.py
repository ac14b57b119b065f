"""Reading a job without its image gives what reading all of it gives, whatever the text."""

import base64
import json
from typing import Any

import numpy as np
import orjson
import pytest

from deployments.errors import InvalidImage
from redis_bridge.wire.encoding_contract import Unreadable
from redis_bridge.wire.json_encoding import CUT_FROM_BYTES, MAX_DIGITS, MAX_VALUES, fields_of
from redis_bridge.wire.pixels import rgb_from_bgr

IMAGE = bytes(range(256)) * 32
TEXT = base64.b64encode(IMAGE).decode()


def read_as_a_whole(payload: bytes) -> Any:
    """The fields, with a long image decoded."""
    fields = orjson.loads(payload)
    if isinstance(fields, dict) and fields.get("image") == TEXT:
        fields["image"] = IMAGE
    return fields


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps({"id": "a", "image": TEXT, "height": 2, "width": 3}),
        json.dumps({"image": TEXT, "id": "a"}),
        json.dumps({"id": "a", "image": TEXT}, separators=(",", ":")),
        json.dumps({"id": "a", "image": TEXT}, indent=2),
        '{"image": "first", "id": "a", "image": "' + TEXT + '"}',
        json.dumps({"id": 'say "image": "' + TEXT + '"', "image": TEXT}),
        json.dumps({"id": "a", "image": TEXT, "prompt": "of a text " * 200}),
        json.dumps(["image", TEXT]),
        json.dumps(TEXT),
        json.dumps({"id": "a", "image": None, "padding": TEXT}),
    ],
)
def test_the_fields_are_those_of_the_whole_text(payload: str) -> None:
    fields = fields_of(payload.encode(), "image")
    whole = read_as_a_whole(payload.encode())
    if isinstance(fields, dict) and isinstance(whole, dict) and fields.get("image") == TEXT:
        fields["image"] = IMAGE
    assert fields == whole


@pytest.mark.parametrize(
    "payload",
    [
        json.dumps({"id": "a", "metadata": {"image": TEXT}}),
        json.dumps({"id": "a", "metadata": {"image": TEXT}, "image": "cut out"}),
        '{"image": "' + TEXT + '", "image": "last"}',
        json.dumps({"id": "a", "image": TEXT[:100] + "\n" + TEXT[100:]}),
        json.dumps({"id": "a", "image": "ä" + TEXT}),
        json.dumps({"id": "a", "image": TEXT + "="}),
        json.dumps({"image": ", " + TEXT + ' "image": "x'}),
        json.dumps({"id": "a", "image": "QUJD"}),
    ],
)
def test_an_image_that_cannot_be_cut_out_is_left_as_it_stands(payload: str) -> None:
    assert fields_of(payload.encode(), "image") == orjson.loads(payload)


def test_a_long_image_is_decoded_without_a_copy_of_its_text() -> None:
    payload = json.dumps({"id": "a", "image": TEXT, "height": 1}).encode()
    assert len(payload) > CUT_FROM_BYTES
    assert fields_of(payload, "image") == {"id": "a", "image": IMAGE, "height": 1}


@pytest.mark.parametrize("name", ["frame", "a.b*", 'say "image"', "Bild-für-alle"])
def test_an_image_in_a_field_of_another_name_is_cut_out_too(name: str) -> None:
    payload = json.dumps({"id": "a", "image": "QUJD", name: TEXT, "height": 1}).encode()
    assert fields_of(payload, name) == {"id": "a", "image": "QUJD", name: IMAGE, "height": 1}
    assert fields_of(payload, "image") == json.loads(payload)


@pytest.mark.parametrize("payload", ['{"image": "' + TEXT, '{"image": "' + TEXT + '"', '{"image": "' + TEXT + '"}}'])
def test_damaged_json_is_told_as_for_the_whole_text(payload: str) -> None:
    with pytest.raises(Unreadable):
        fields_of(payload.encode(), "image")


def test_values_are_rounded_half_to_even_and_clipped_whatever_their_size() -> None:
    rows = [
        [0.5, 1.5, 2.5],
        [-0.5, -3, 255.5],
        [254.5, 256, 1e9],
        [2.0**31, -(2.0**31), 3e38],
        [-3e38, 1e-40, 127.49],
    ]
    bgr = np.array([rows], np.float32)
    expected = np.clip(np.rint(bgr), 0, 255).astype(np.uint8)[:, :, ::-1]
    for one in (bgr, bgr[:, :3], bgr[:, 3:]):
        start = 3 if one.shape[1] == 2 else 0
        assert (rgb_from_bgr(one) == expected[:, start : start + one.shape[1]]).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0, 0), (6, 4, 2), (3, 2, 1)])
def test_a_value_that_is_no_number_is_found_wherever_it_is(value: float, place: tuple[int, int, int]) -> None:
    bgr = np.full((7, 5, 3), 200, np.float32)
    bgr[place] = value
    with pytest.raises(InvalidImage, match="not finite"):
        rgb_from_bgr(bgr)


def test_an_image_whose_sum_is_large_is_converted_all_the_same() -> None:
    bgr = np.full((1500, 1000, 3), 250.5, np.float32)
    assert bgr.sum(dtype=float) > 2.0**30
    assert (rgb_from_bgr(bgr) == 250).all()


@pytest.mark.parametrize("unit", ["[],", '{"":0},', "NaN,", "0,"])
def test_a_text_of_very_many_values_is_refused_before_it_is_read(unit: str) -> None:
    payload = '{"id": "a", "ignored": [' + unit * (MAX_VALUES + 1) + "0]}"
    with pytest.raises(Unreadable, match=f"more than {MAX_VALUES} commas and opening brackets"):
        fields_of(payload.encode(), "image")


def test_many_values_beside_an_image_are_refused_as_well() -> None:
    payload = json.dumps({"id": "a", "image": TEXT, "ignored": [0] * (MAX_VALUES + 1)})
    with pytest.raises(Unreadable, match="commas"):
        fields_of(payload.encode(), "image")


def test_a_whole_number_of_very_many_digits_is_refused() -> None:
    assert fields_of(b'{"ignored": ' + b"9" * MAX_DIGITS + b"}", "image") == {"ignored": int("9" * MAX_DIGITS)}
    with pytest.raises(Unreadable, match=f"has {MAX_DIGITS + 1} digits, the limit is {MAX_DIGITS}"):
        fields_of(b'{"ignored": ' + b"9" * (MAX_DIGITS + 1) + b"}", "image")
