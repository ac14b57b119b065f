"""The generator's HTTP: requests that a real form parser reads, and answers however the bytes come."""

import pytest

from benchmarks.load.http_wire import AnswerReader, BrokenAnswer, Upload, raw_request, upload_request
from serve_app.bodies.uploads import parse_form
from serve_app.faces.legacy.form_options import FORM

WITH_LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: x\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 429 Too Many\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n"


def test_a_form_parser_finds_the_file_and_the_fields() -> None:
    content = b"\x89PNG\r\n\r\n--bytes that look like a boundary"
    request = upload_request("host:1", "/predictor/", Upload(content, "a.png", "image/png"), {"model_type": "m"})
    head, _, body = request.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    form = parse_form(headers["Content-Type"], body, FORM)
    assert bytes(form.files["file"]) == content
    assert form.fields == {"model_type": "m"}
    assert headers["Content-Length"] == f"{len(body)}"
    assert head.startswith(b"POST /predictor/ HTTP/1.1\r\n")


def test_a_raw_request_is_the_image() -> None:
    request = raw_request("host:1", "/v1/models/m/predict", Upload(b"\x89PNG", "a.png", "image/png"))
    head, _, body = request.partition(b"\r\n\r\n")
    assert body == b"\x89PNG"
    assert b"Content-Type: image/png\r\nContent-Length: 4" in head
    assert head.startswith(b"POST /v1/models/m/predict HTTP/1.1\r\n")


@pytest.mark.parametrize("answer", [WITH_LENGTH, CHUNKED])
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_is_read_in_pieces_of_any_size(answer: bytes, size: int) -> None:
    reader = AnswerReader()
    pieces = [answer[start : start + size] for start in range(0, len(answer), size)]
    found = [reader.feed(piece) for piece in pieces]
    assert all(one is None for one in found[:-1])
    assert found[-1] is not None
    assert found[-1].body == b"hello"
    assert found[-1].status == int(answer[9:12])


def test_answers_follow_each_other() -> None:
    reader = AnswerReader()
    assert [reader.feed(one) is not None for one in (WITH_LENGTH, CHUNKED, WITH_LENGTH)] == [True] * 3


@pytest.mark.parametrize(("header", "is_last"), [(b"Connection: close", True), (b"Connection: keep-alive", False)])
def test_the_end_of_a_connection_is_noticed(header: bytes, is_last: bool) -> None:
    answer = AnswerReader().feed(b"HTTP/1.1 200 OK\r\n" + header + b"\r\nContent-Length: 0\r\n\r\n")
    assert answer is not None
    assert answer.is_last is is_last


@pytest.mark.parametrize(
    "nonsense",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 2xx OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n",
    ],
)
def test_what_is_no_answer_is_refused(nonsense: bytes) -> None:
    with pytest.raises(BrokenAnswer):
        AnswerReader().feed(nonsense)
