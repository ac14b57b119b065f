"""What stands in a form beside the image is honoured or refused: nothing that a client says is passed over."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.serve_app.conftest import FakeSystem
from tests.serve_app.uploads import picture, problem_of

BOUNDARY = "xyz"
FILE_PART = ('Content-Disposition: form-data; name="file"; filename="a.png"', picture())


def form_of(*parts: tuple[str, bytes]) -> dict[str, Any]:
    """A form of (head, content) as the client wrote it."""
    pieces = [f"--{BOUNDARY}\r\n{head}\r\n\r\n".encode() + content + b"\r\n" for head, content in parts]
    return {
        "content": b"".join(pieces) + f"--{BOUNDARY}--\r\n".encode(),
        "headers": {"content-type": f"multipart/form-data; boundary={BOUNDARY}"},
    }


def text(name: str, value: str | bytes) -> tuple[str, bytes]:
    return f'Content-Disposition: form-data; name="{name}"', value if isinstance(value, bytes) else value.encode()


WAYS_TO_NAME_A_MODEL: dict[str, tuple[str, list[tuple[str, bytes]]]] = {
    "text": ("", [text("model_type", "other")]),
    "blob": ("", [('Content-Disposition: form-data; name="model_type"; filename="blob"', b"other")]),
    "blob with a type": (
        "",
        [
            (
                'Content-Disposition: form-data; name="model_type"; filename="blob"\r\nContent-Type: text/plain',
                b"other",
            )
        ],
    ),
    "query": ("?model_type=other", []),
    "path of 2022": ("?path=other", []),
    "both, alike": ("?path=other", [text("model_type", "other")]),
}


@pytest.mark.parametrize(("query", "parts"), WAYS_TO_NAME_A_MODEL.values(), ids=WAYS_TO_NAME_A_MODEL.keys())
async def test_a_model_is_asked_whichever_way_it_is_named(
    client: httpx.AsyncClient, system: FakeSystem, query: str, parts: list[tuple[str, bytes]]
) -> None:
    answer = await client.post("/predictor/" + query, **form_of(*parts, FILE_PART))
    assert answer.status_code == 200, answer.text
    assert [model for model, _ in system.asked] == ["other"]


@pytest.mark.parametrize(("query", "parts"), WAYS_TO_NAME_A_MODEL.values(), ids=WAYS_TO_NAME_A_MODEL.keys())
async def test_a_model_that_does_not_exist_is_never_replaced_by_the_default(
    client: httpx.AsyncClient, system: FakeSystem, query: str, parts: list[tuple[str, bytes]]
) -> None:
    parts = [(head, b"nobody") for head, _ in parts]
    answer = await client.post("/predictor/" + query.replace("other", "nobody"), **form_of(*parts, FILE_PART))
    assert "nobody" in (await problem_of(answer, 404))["detail"]
    assert system.asked == []


OPTIONS = {
    "score_threshold": "0.7",
    "iou_threshold": "0.3",
    "max_detections": "5",
    "classes": "fixed answer A, fixed answer B",
    "tiling": "64x64",
}


@pytest.mark.parametrize("way", ["blob", "query"])
async def test_every_option_is_heard_whichever_way_it_comes(
    client: httpx.AsyncClient, system: FakeSystem, way: str
) -> None:
    blobs = [
        (f'Content-Disposition: form-data; name="{name}"; filename="blob"', value.encode())
        for name, value in OPTIONS.items()
    ]
    query = "?" + "&".join(f"{name}={quote(value)}" for name, value in OPTIONS.items())
    sent = form_of(*blobs, FILE_PART) if way == "blob" else form_of(FILE_PART)
    answer = await client.post("/predictor/" + (query if way == "query" else ""), **sent)
    assert answer.status_code == 200, answer.text
    [(_, request)] = system.asked
    options = request.options
    assert (options.score_threshold, options.iou_threshold, options.max_detections) == (0.7, 0.3, 5)
    assert options.classes == ("fixed answer A", "fixed answer B")
    assert options.tiling is not None


REFUSED: dict[str, tuple[str, list[tuple[str, bytes]], list[str]]] = {
    "a misspelt field": ("", [text("scorethreshold", "0.9")], ["scorethreshold", "did you mean score_threshold?"]),
    "a field of nobody": ("", [text("note", "hello")], ["note", "known: "]),
    "a misspelt parameter": ("?modeltype=other", [], ["modeltype", "did you mean model_type?"]),
    "a parameter of nobody": ("?_=1", [], ["_", "known: "]),
    "a second picture": (
        "",
        [('Content-Disposition: form-data; name="other"; filename="b.png"', picture())],
        ["other", "'file'"],
    ),
    "two pictures": ("", [FILE_PART], ["two parts", "'file'"]),
    "fields that contradict": (
        "",
        [text("score_threshold", "0.1"), text("score_threshold", "0.9")],
        ["score_threshold", "0.1", "0.9"],
    ),
    "form and query that contradict": (
        "?path=benthic-demo",
        [text("model_type", "other")],
        ["benthic-demo", "other"],
    ),
    "a part without a name": ("", [("Content-Disposition: form-data", b"1")], ["no name", "'file'"]),
    "a name in a way that forms must not use": (
        "",
        [("Content-Disposition: form-data; name*=UTF-8''classes", b"1")],
        ["no name", "'file'"],
    ),
    "a large text": ("", [text("classes", "a" * 5000)], ["classes", "5000", "4096"]),
    "a large blob": (
        "",
        [('Content-Disposition: form-data; name="classes"; filename="blob"', b"a" * 5000)],
        ["classes", "5000", "4096"],
    ),
    "a text that is not UTF-8": ("", [text("classes", b"caf\xe9")], ["classes", "UTF-8"]),
    "a query that is not UTF-8": ("?classes=caf%E9", [], ["query", "UTF-8"]),
    "base64": ("", [(text("classes", "")[0] + "\r\nContent-Transfer-Encoding: base64", b"YQ==")], ["base64"]),
    "a threshold of a class that is no number": (
        "",
        [text("score_threshold", '{"Crab": "high"}')],
        ["score_threshold of 'Crab'", "number", "high"],
    ),
    "a threshold of a class that is too large": ("", [text("score_threshold", '{"Crab": 2}')], ["'Crab'", "2"]),
    "a threshold of a class that is yes": ("", [text("score_threshold", '{"Crab": true}')], ["'Crab'", "True"]),
    "thresholds that are no JSON": (
        "",
        [text("score_threshold", "{Crab: 0.5}")],
        ["score_threshold", "JSON", "{Crab"],
    ),
    "no number": ("", [text("score_threshold", "high")], ["score_threshold", "number", "high"]),
    "a decimal comma": ("", [text("score_threshold", "0,5")], ["score_threshold", "number", "0,5"]),
    "not a number": ("", [text("score_threshold", "nan")], ["score_threshold", "number", "nan"]),
    "infinite": ("", [text("iou_threshold", "-inf")], ["iou_threshold", "number", "-inf"]),
    "too large for a number": ("", [text("iou_threshold", "1e999")], ["iou_threshold", "inf"]),
    "too many": ("", [text("max_detections", "1e999")], ["max_detections"]),
    "an underscore": ("", [text("max_detections", "1_0")], ["max_detections", "1_0"]),
    "part of a detection": ("", [text("max_detections", "10.5")], ["max_detections", "whole number", "10.5"]),
    "thousands of digits": ("", [text("max_detections", "1" * 4000)], ["max_detections", "number"]),
}


@pytest.mark.parametrize(("query", "parts", "words"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_cannot_be_honoured_is_refused_by_name(
    client: httpx.AsyncClient, system: FakeSystem, query: str, parts: list[tuple[str, bytes]], words: list[str]
) -> None:
    answer = await client.post("/predictor/" + query, **form_of(FILE_PART, *parts))
    detail = (await problem_of(answer, 422))["detail"]
    assert all(word in detail for word in words), detail
    assert system.asked == []


ACCEPTED: dict[str, list[tuple[str, bytes]]] = {
    "only an extended file name": [
        ("Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''a%20b.png", picture())
    ],
    "no file name": [('Content-Disposition: form-data; name="file"', picture((200, 150), "BMP"))],
    "a transfer encoding that changes nothing": [(FILE_PART[0] + "\r\nContent-Transfer-Encoding: binary", picture())],
    "a whole number with a point": [FILE_PART, text("max_detections", "10.0")],
    "empty values": [FILE_PART, *[text(name, "") for name in [*OPTIONS, "tiling_overlap", "model_type"]]],
    "the same twice": [FILE_PART, text("classes", "fixed answer A"), text("classes", "fixed answer A")],
}


@pytest.mark.parametrize("parts", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_unusual_forms_that_are_plain_are_answered(
    client: httpx.AsyncClient, system: FakeSystem, parts: list[tuple[str, bytes]]
) -> None:
    answer = await client.post("/predictor/", **form_of(*parts))
    assert answer.status_code == 200, answer.text
    [(_, request)] = system.asked
    assert request.options.max_detections in (None, 10)


@pytest.mark.parametrize("path", ["/sam/", "/sam_multi_v2", "/sam-embed/", "/filet_predictor/"])
async def test_segmenting_routes_refuse_what_they_do_not_know(
    client: httpx.AsyncClient, system: FakeSystem, path: str
) -> None:
    answer = await client.post(path, **form_of(FILE_PART, text("promts", "[]")))
    assert "promts" in (await problem_of(answer, 422))["detail"]
    assert system.asked_external == []


async def test_thresholds_by_class_reach_the_model(client: httpx.AsyncClient, system: FakeSystem) -> None:
    sent = form_of(FILE_PART, text("score_threshold", '{"fixed answer A": 0.5, "*": 1}'))
    assert (await client.post("/predictor/", **sent)).status_code == 200
    assert [request.options.score_threshold for _, request in system.asked] == [{"fixed answer A": 0.5, "*": 1}]
