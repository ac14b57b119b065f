"""`/vss/vectors`: labelled images come and go, by a key with the scope admin."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.serve_app.access.guarded import Guarded, bearer
from tests.serve_app.faces.vss.embedding_system import (
    BLUE,
    GREEN,
    PROJECT,
    RED,
    EmbeddingSystem,
    body_of,
    error_in,
    files,
)

PATH = f"/vss/vectors/{PROJECT}"


async def test_images_are_kept_under_their_label_and_the_names_of_their_files(
    admin: httpx.AsyncClient, client: httpx.AsyncClient, system: EmbeddingSystem
) -> None:
    names = ["a/b/c1.png", "C:\\crops\\c2.v2.jpg"]
    sent = {"files": files(RED, GREEN, names=names), "data": {"label": "sand crab", "model": "vit"}}
    told = {"project": PROJECT, "model": "vit", "revision": "1", "dimension": 3}
    assert body_of(await admin.post(PATH, **sent)) == {**told, "added": 2, "count": 2}
    assert body_of(await client.get(f"/vss/ids/{PROJECT}")) == {"ids": ["c1", "c2.v2"], "classes": ["sand crab"] * 2}
    assert body_of(await client.get("/vss/projects")) == {"projects": [PROJECT, "vit"]}
    assert body_of(await admin.post(PATH, files=files(BLUE, names=["c1.png"]), data={"label": "sand crab"})) == {
        **told,
        "added": 1,
        "count": 2,
    }
    _, rows = system.kept.kept[PROJECT]
    assert rows["sand crab", "c1"].tolist() == [10, 10, 200]


async def test_a_project_may_be_the_model_itself_and_the_fields_may_be_in_the_query(
    admin: httpx.AsyncClient,
) -> None:
    answer = await admin.post("/vss/vectors/vit?label=Crab", files=files(RED))
    assert body_of(answer)["model"] == "vit"


@pytest.mark.usefixtures("labelled")
async def test_a_label_or_a_whole_project_is_forgotten(admin: httpx.AsyncClient, client: httpx.AsyncClient) -> None:
    assert body_of(await admin.delete(f"{PATH}?label=Crab")) == {"project": PROJECT, "removed": 1}
    assert error_in(await admin.delete(f"{PATH}?label=Crab"), 404).startswith("there are no images with the label")
    assert body_of(await admin.delete(PATH)) == {"project": PROJECT, "removed": 2}
    assert error_in(await admin.delete(PATH), 404) == f"there is no project '{PROJECT}'"
    assert error_in(await client.get(f"/vss/ids/{PROJECT}"), 404).startswith("Invalid project name")


async def test_nobody_changes_a_project_without_a_key_that_may(
    guarded: Guarded, client: httpx.AsyncClient, system: EmbeddingSystem
) -> None:
    sent = {"files": files(RED), "data": {"label": "Crab", "model": "vit"}}
    for answer in (await client.post(PATH, **sent), await client.delete(PATH)):
        assert "only where the server asks for API keys" in error_in(answer, 403)
    async with guarded.client() as door:
        assert error_in(await door.post(PATH, **sent), 401)
        for answer in (
            await door.post(PATH, **sent, headers=bearer(guarded.predict)),
            await door.delete(PATH, headers=bearer(guarded.predict)),
        ):
            assert "lacks the scope admin" in error_in(answer, 403)
    assert (system.asked, system.kept.kept) == ([], {})


UNKEPT: list[tuple[dict[str, str], list[str], int, str]] = [
    ({}, ["a.png"], 422, "no field 'label'"),
    ({"label": ""}, ["a.png"], 422, "label must be 1 to 200 printable characters"),
    ({"label": " Crab"}, ["a.png"], 422, "without spaces around them, got ' Crab'"),
    ({"label": "a\nb"}, ["a.png"], 422, "label must be"),
    ({"label": "x" * 201}, ["a.png"], 422, "label must be 1 to 200"),
    ({"label": "Crab", "lable": "Crab"}, ["a.png"], 422, "unknown field 'lable'; did you mean label?"),
    ({"label": "Crab", "model": "nobody"}, ["a.png"], 404, "'nobody'"),
    ({"label": "Crab"}, ["a.png"], 422, f"project '{PROJECT}' is new, and no model has this name"),
    ({"label": "Crab", "model": "benthic-demo"}, ["a.png"], 422, "answers boxes, and no embedding"),
    ({"label": "Crab", "model": "vit"}, ["/"], 422, "the name of an image must be 1 to 200"),
    ({"label": "Crab", "model": "vit"}, ["x" * 300 + ".png"], 422, "the name of an image must be"),
    ({"label": "Crab", "model": "vit"}, ["a.png", "b/a.jpg"], 422, "two images have the name 'a'"),
    ({"label": "Crab"}, [f"{n}.png" for n in range(33)], 422, "1 to 32 file parts named 'files', got 33"),
]
"""Fields, names of files, and what is answered."""


async def test_what_cannot_be_kept_is_named(admin: httpx.AsyncClient, system: EmbeddingSystem) -> None:
    for data, names, status, says in UNKEPT:
        content = files(*[RED] * len(names), names=names)
        error = error_in(await admin.post(PATH, files=content, data=data), status)
        assert says in error, (data, names, error)
    assert system.kept.kept == {}


@pytest.mark.usefixtures("labelled")
async def test_one_project_has_one_model(admin: httpx.AsyncClient, system: EmbeddingSystem) -> None:
    refused = await admin.post(PATH, files=files(RED), data={"label": "Crab", "model": "benthic-demo"})
    assert "were made by vit, got 'benthic-demo'" in error_in(refused, 422)
    system.revision = "2"
    refused = await admin.post(PATH, files=files(RED), data={"label": "Crab"})
    assert "made by model vit" in error_in(refused, 422)


@pytest.mark.usefixtures("labelled")
async def test_a_label_in_the_body_does_not_remove_the_whole_project(
    admin: httpx.AsyncClient, system: EmbeddingSystem
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"label=Crab"

    bodies: list[dict[str, Any]] = [{"data": {"label": "Crab"}}, {"json": {"label": "Crab"}}, {"content": pieces()}]
    for body in bodies:
        assert "?label=" in error_in(await admin.request("DELETE", PATH, **body), 422), body
    assert len(system.kept.kept[PROJECT][1]) == 3


async def test_what_a_removal_does_not_know_is_refused(admin: httpx.AsyncClient) -> None:
    assert "did you mean label?" in error_in(await admin.delete(f"{PATH}?labels=Crab"), 422)
    assert "label must be" in error_in(await admin.delete(f"{PATH}?label="), 422)
