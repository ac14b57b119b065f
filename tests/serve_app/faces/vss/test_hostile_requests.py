"""What is no request is told so in the form of fastapi-vss, with the limit, and asks no model for anything."""

from typing import Any

import httpx
import pytest

from tests.serve_app.faces.vss.embedding_system import PROJECT, RED, EmbeddingSystem, error_in, files

FORM = "multipart/form-data; boundary=x"
EMBED, KNN = "/vss/embed/vit", f"/vss/knn/1/{PROJECT}"
LONG = "x" * 101


def sent_as(name: str, file_name: str, content: bytes = RED) -> dict[str, Any]:
    return {"files": [(name, (file_name, content))]}


def part() -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\na\r\n'


FORMS: list[tuple[dict[str, Any], int, str]] = [
    ({}, 422, "must be multipart/form-data with a boundary and a part 'files'"),
    ({"content": RED, "headers": {"content-type": "image/png"}}, 422, "must be multipart/form-data"),
    ({"json": {"files": ["x"]}}, 422, "must be multipart/form-data"),
    ({"content": b"", "headers": {"content-type": FORM}}, 422, "is malformed"),
    ({"content": b"--x\r\n", "headers": {"content-type": FORM}}, 422, "cut off"),
    ({"content": b"--x--\r\n", "headers": {"content-type": FORM}}, 422, "1 to 512 file parts named 'files', got 0"),
    ({"content": b"x", "headers": {"content-type": "multipart/form-data"}}, 422, "with a boundary"),
    (sent_as("file", "a.png"), 422, "unknown field 'file'; did you mean files?"),
    (sent_as("files[]", "a.png"), 422, "unknown field 'files[]'; did you mean files?"),
    (sent_as("", "a.png"), 422, "unknown field ''; known: files"),
    (sent_as("files", "a.png", b""), 422, "files: image 1 is empty"),
    (sent_as("files", "a" * 1025), 422, "image 1 has a name of 1025 characters, the limit is 1024"),
    ({"content": part() * 513 + b"--x--\r\n", "headers": {"content-type": FORM}}, 422, "1 to 512 file parts named"),
    ({"content": part() * 545 + b"--x--\r\n", "headers": {"content-type": FORM}}, 422, "has more than 544 parts"),
    ({"files": {"files": (None, "text")}}, 422, "image 1 is sent as text; send it as a file"),
    ({"files": files(RED), "data": {"top_n": "3"}}, 422, "unknown field 'top_n'"),
    ({"files": files(RED), "data": {"label": "Crab"}}, 422, "unknown field 'label'"),
    ({"files": files(RED), "params": {"model": "vit"}}, 422, "unknown query parameter 'model'"),
    ({"files": files(RED), "params": {"k": "1e9"}}, 422, "unknown query parameter 'k'"),
    ({"files": files(b"x" * 200_001)}, 413, "the limit is 200000"),
    ({"files": files(RED), "headers": {"content-encoding": "gzip"}}, 415, "without compression"),
]

PATHS: list[tuple[str, int, str]] = [
    ("/vss/embed/nobody", 404, "Invalid project name 'nobody'; known: 902004-Planktivore, vit"),
    ("/vss/embed/902004-planktivore", 404, "did you mean 902004-Planktivore?"),
    ("/vss/embed/benthic-demo", 404, "Invalid project name 'benthic-demo'"),
    ("/vss/embed/%20vit", 422, "project must be 1 to 100 printable characters without spaces around them"),
    ("/vss/embed/vit%0a", 422, "project must be 1 to 100 printable characters"),
    ("/vss/embed/vit%00", 422, "project must be 1 to 100 printable characters"),
    ("/vss/embed/%e2%80%ae", 422, "project must be 1 to 100 printable characters"),
    ("/vss/embed/*", 404, "Invalid project name '*'"),
    (f"/vss/embed/{LONG}", 422, "project must be 1 to 100 printable characters"),
    (f"/vss/knn/0/{PROJECT}", 422, "top_n must be a whole number between 1 and 100, got '0'"),
    (f"/vss/knn/-1/{PROJECT}", 422, "top_n must be a whole number between 1 and 100, got '-1'"),
    (f"/vss/knn/101/{PROJECT}", 422, "top_n must be a whole number between 1 and 100, got '101'"),
    (f"/vss/knn/1e9/{PROJECT}", 422, "top_n must be a whole number between 1 and 100, got '1e9'"),
    (f"/vss/knn/2.5/{PROJECT}", 422, "top_n must be a whole number, got '2.5'"),
    (f"/vss/knn/nan/{PROJECT}", 422, "top_n must be a number such as 0.5, got 'nan'"),
    (f"/vss/knn/inf/{PROJECT}", 422, "top_n must be a number such as 0.5, got 'inf'"),
    (f"/vss/knn/%D9%A1/{PROJECT}", 422, "top_n must be a number"),
    (f"/vss/knn/%20/{PROJECT}", 422, "top_n must be a whole number between 1 and 100, got ' '"),
    (f"/vss/knn/{'9' * 400}/{PROJECT}", 422, "top_n must be a number"),
    ("/vss/knn/1/nobody", 404, "Invalid project name 'nobody'"),
    ("/vss/knn/1/vit", 422, "has no labelled images yet"),
    ("/vss/knn/1", 404, "Not Found"),
    ("/vss/embed", 404, "Not Found"),
    (f"/vss/predict/job/1/{PROJECT}", 405, "this path answers to GET, HEAD, OPTIONS"),
]


@pytest.mark.usefixtures("labelled")
async def test_hostile_forms_are_refused(client: httpx.AsyncClient, system: EmbeddingSystem) -> None:
    system.asked.clear()
    for path in (EMBED, KNN):
        for sent, status, says in FORMS:
            error = error_in(await client.post(path, **sent), status)
            assert says in error, (sent, error)
            assert len(error) < 500
    assert (system.asked, system.kept.jobs) == ([], {})


@pytest.mark.usefixtures("labelled")
async def test_hostile_paths_are_refused(client: httpx.AsyncClient, system: EmbeddingSystem) -> None:
    system.asked.clear()
    for path, status, says in PATHS:
        error = error_in(await client.post(path, files=files(RED)), status)
        assert says in error, (path, error)
        assert len(error) < 700
    assert (system.asked, system.kept.jobs) == ([], {})


async def test_what_is_no_name_is_refused_wherever_it_stands(client: httpx.AsyncClient) -> None:
    for path in ("/vss/ids", "/vss/predict/job/6e1b1c2e-3f5a-4a55-9d1a-0d4f3c3b2a10"):
        for project in (LONG, "a%00b", "%20a", "%0a"):
            error = error_in(await client.get(f"{path}/{project}"), 422)
            assert "project must be 1 to 100 printable characters" in error, (path, project)
