"""Which format a request gets, by name or by the header Accept."""

import re

import pytest

from deployments.errors import InvalidRequest
from serve_app.formats import FORMATS, NotAcceptable, chosen

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
HTTP_URL_CONNECTION = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"


@pytest.mark.parametrize("name", FORMATS)
def test_a_name_chooses_its_format_whatever_is_accepted(name: str) -> None:
    assert chosen(name, "application/json") is FORMATS[name]


@pytest.mark.parametrize("accept", ["", "*/*", "image/png", "text/plain"])
def test_json_is_a_name_too(accept: str) -> None:
    assert chosen("json", accept) is None


def test_an_unknown_name_is_told_the_nearest() -> None:
    with pytest.raises(
        InvalidRequest, match=re.escape("format: there is no 'coco-datset'; did you mean coco-dataset?")
    ):
        chosen("coco-datset", "")


def test_a_name_of_any_length_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as caught:
        chosen("x" * 4000, "")
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("accept", "name"),
    [
        ("", None),
        ("*/*", None),
        ("*", None),
        ("application/*", None),
        ("application/json", None),
        ("Application/JSON; charset=utf-8", None),
        (FIREFOX, None),
        (HTTP_URL_CONNECTION, None),
        ("text/csv", "fathomnet-csv"),
        ("TEXT/CSV", "fathomnet-csv"),
        ("text/*", "fathomnet-csv"),
        ("application/xml", "voc"),
        ("text/xml", "voc"),
        ("image/jpeg", "picture"),
        ("image/png", "picture-png"),
        ("image/*", "picture"),
        ("image/avif,image/webp,image/png,image/*;q=0.8,*/*;q=0.5", "picture-png"),
        ("application/zip", "dwc"),
        ("text/csv;q=0.5, application/json", None),
        ("text/csv, application/json;q=0.5", "fathomnet-csv"),
        ("text/csv, application/json", None),
        ("text/csv, */*", "fathomnet-csv"),
        ("text/csv, */*;q=0.1", "fathomnet-csv"),
        ("application/json;q=0, */*", "fathomnet-csv"),
        ("*/*, text/csv;q=0", None),
        ("text/csv;q=nan, application/xml", "voc"),
        ("text/csv;q=7, application/xml", "voc"),
        (";;,,=", None),
    ],
)
def test_the_header_accept_chooses_among_media_types(accept: str, name: str | None) -> None:
    assert chosen("", accept) is (None if name is None else FORMATS[name])


@pytest.mark.parametrize("accept", ["text/plain", "image/webp", "application/json;q=0", "*/*;q=0"])
def test_what_nothing_satisfies_is_told_what_is_written(accept: str) -> None:
    with pytest.raises(NotAcceptable, match=r"application/json, text/csv, .*image/jpeg"):
        chosen("", accept)


def test_a_long_header_takes_no_time() -> None:
    assert chosen("", "text/csv," * 1800) is FORMATS["fathomnet-csv"]


def test_several_images_are_a_zip_where_each_is_a_file() -> None:
    assert {name for name, one in FORMATS.items() if one.file_type(2) != one.file_type(1)} == {
        "voc",
        "picture",
        "picture-png",
    }
    assert FORMATS["voc"].file_type(1) == ("application/xml", "xml")
    assert FORMATS["voc"].file_type(32) == ("application/zip", "zip")
