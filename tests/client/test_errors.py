"""Every refusal becomes the right error, and an answer of some other server is told as such."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response

import fathom_client
from fathom_client import (
    Client,
    FathomError,
    InvalidImage,
    InvalidRequest,
    ModelNotFound,
    NotAllowed,
    Overloaded,
    Problem,
    ServerFailed,
    Unavailable,
    UnexpectedAnswer,
)
from fathom_client.errors import BY_CODE
from tests.client.fake_server import FakeServer, problem

ONCE = fathom_client.Retry(attempts=1)
DOOR = Path(__file__).parents[2] / "deployments" / "errors.py"


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(retry=ONCE) as one:
        yield one


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (problem(413, "image-too-large", "65 MiB"), InvalidImage, "65 MiB (413 image-too-large)"),
        (problem(422, "invalid-request", "score_treshold?"), InvalidRequest, "score_treshold? (422 invalid-request)"),
        (problem(401, "", "no key"), NotAllowed, "no key (401)"),
        (problem(403, "key-not-allowed", "not yours"), NotAllowed, "not yours (403 key-not-allowed)"),
        (problem(500, "internal", "sorry"), ServerFailed, "sorry (500 internal)"),
        (problem(507, "a-new-code", "full"), ServerFailed, "full (507 a-new-code)"),
        (problem(415, "", "compressed"), Problem, "compressed (415)"),
        (PlainTextResponse("Path not\nfound", 404), Problem, "Path not found (404)"),
        (HTMLResponse("<h1>no</h1>", 429), Overloaded, "Too Many Requests (429)"),
        (JSONResponse([1], 503), Unavailable, "Service Unavailable (503)"),
        (Response(b"\xff{", 503, media_type="application/problem+json"), Unavailable, "Service Unavailable (503)"),
    ],
)
def test_a_refusal_is_the_error_for_its_code_or_status(
    client: Client, server: FakeServer, answer: Response, kind: type[FathomError], said: str
) -> None:
    server.first.append(answer)
    with pytest.raises(Problem) as raised:
        client.predict(b"1", "demo")
    assert (type(raised.value), str(raised.value)) == (kind, said)


@pytest.mark.parametrize(
    "answer",
    [
        HTMLResponse("<h1>Welcome to the ship's Wi-Fi</h1>"),
        JSONResponse({"model": "m"}),
        JSONResponse({"model": "m", "images": []}),
        JSONResponse({"model": "m", "images": [{"width": 1, "height": 1}]}),
        JSONResponse({"model": "m", "images": [{"detections": [{"label": "Fish"}]}]}),
        JSONResponse([]),
        JSONResponse("text"),
        Response("[" * 100_000, media_type="application/json"),
        RedirectResponse("https://login.example/"),
        Response(b"not gzip", headers={"Content-Encoding": "gzip"}),
        Response(status_code=204),
    ],
)
def test_an_answer_that_no_server_of_ours_gives_is_told(client: Client, server: FakeServer, answer: Response) -> None:
    server.first.append(answer)
    with pytest.raises(UnexpectedAnswer, match=r"127\.0\.0\.1"):
        client.predict(b"1", "demo")


def test_a_problem_in_the_place_of_an_image_is_its_error(client: Client, server: FakeServer) -> None:
    failed = {"status": 422, "code": "invalid-image", "detail": "cut off"}
    server.first.append(JSONResponse({"model": "demo", "images": [{"name": None, "error": failed}]}))
    with pytest.raises(InvalidImage, match="cut off"):
        client.predict(b"1", "demo")


def test_a_model_is_looked_for_by_exactly_its_name(client: Client, server: FakeServer) -> None:
    with pytest.raises(ModelNotFound):
        client.predict(b"1", "other?x=1#%2F é")
    assert server.asked[0].model == "other?x=1#%2F é"
    for name in ("", ".", "..", "a/b"):
        with pytest.raises(ValueError, match="name of no model"):
            client.predict(b"1", name)


def test_every_code_of_the_server_is_known_here() -> None:
    tree = ast.parse(DOOR.read_text(encoding="utf-8"))
    codes = {
        node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target) == "code"
        and isinstance(node.value, ast.Constant)
    }
    assert codes
    assert codes - set(BY_CODE) == set()


def test_every_error_is_in_the_tree_that_the_module_shows_and_is_exported() -> None:
    from fathom_client import errors

    kinds = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, FathomError)]
    assert [one.__name__ for one in kinds if one.__name__ not in (errors.__doc__ or "")] == []
    assert [one.__name__ for one in kinds if one.__name__ not in fathom_client.__all__] == []
