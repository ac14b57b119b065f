"""`/vss/embed`: embeddings of images, which are those of /v1."""

import httpx
import numpy as np
import pytest

from deployments.errors import ModelUnavailable, Overloaded
from deployments.prediction import Embedding
from tests.serve_app.faces.v1.predicting import SCORES, prediction
from tests.serve_app.faces.vss.embedding_system import (
    BLUE,
    GREEN,
    RED,
    EmbeddingSystem,
    body_of,
    coloured,
    done,
    error_in,
    files,
)


async def test_the_embeddings_are_those_of_v1(client: httpx.AsyncClient) -> None:
    result = await done(client, await client.post("/vss/embed/vit", files=files(RED, GREEN, BLUE)), "vit")
    assert result["filenames"] == ["image-0.png", "image-1.png", "image-2.png"]
    v1 = await client.post("/v1/models/vit/predict", files=[("image", part) for _, part in files(RED, GREEN, BLUE)])
    assert result["embeddings"] == [image["embedding"] for image in body_of(v1)["images"]]
    assert result["embeddings"][0] == [200.0, 10.0, 10.0]


@pytest.mark.parametrize("path", ["/vss/embed/vit", "/vss/embed/vit/", "/model/v1/vss/embed/vit", "/vss//embed/vit"])
async def test_a_job_is_answered_as_fastapi_vss_does(client: httpx.AsyncClient, path: str) -> None:
    submitted = body_of(await client.post(path, files=files(RED, names=["/mnt/a folder/Kolbenähre 1.jpg"])))
    job = submitted["job_id"]
    assert submitted == {"job_id": job, "Comment": f"Use /vss/predict/job/{job}/vit to check status."}
    told = body_of(await client.get(f"/vss/predict/job/{job}/vit"))
    result = {"filenames": ["/mnt/a folder/Kolbenähre 1.jpg"], "embeddings": [[200.0, 10.0, 10.0]]}
    assert told == {"status": "done", "result": result}
    # It may be asked for again, as by a client whose connection broke.
    assert body_of(await client.get(f"/vss/knn/predict/job/{job}/vit")) == told


async def test_numbers_come_through_exactly(client: httpx.AsyncClient, system: EmbeddingSystem) -> None:
    values = np.random.default_rng(1).normal(size=768).astype(np.float32)
    system.fails_with = prediction(Embedding(values), "vit")
    result = await done(client, await client.post("/vss/embed/vit", files=files(RED)), "vit")
    assert np.array_equal(np.array(result["embeddings"][0], np.float32), values)


async def test_the_first_image_without_an_answer_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/vss/embed/vit", files=files(RED, b"no picture"))
    assert error_in(answer, 422) == "image 2: the image is of no format that is read"


async def test_models_that_answer_something_else_are_refused(
    client: httpx.AsyncClient, system: EmbeddingSystem
) -> None:
    assert "Invalid project name 'benthic-demo'; known: vit" in error_in(
        await client.post("/vss/embed/benthic-demo", files=files(RED)), 404
    )
    system.fails_with = prediction(SCORES, "vit")
    answer = await client.post("/vss/embed/vit", files=files(RED))
    assert error_in(answer, 422) == "vit answers class scores, and no embedding"


async def test_numbers_that_are_none_are_not_answered(client: httpx.AsyncClient, system: EmbeddingSystem) -> None:
    system.fails_with = prediction(Embedding(np.array([1, np.nan, 0], np.float32)), "vit")
    assert "NaN or infinity" in error_in(await client.post("/vss/embed/vit", files=files(RED)), 500)


async def test_a_model_that_changes_under_a_request_is_told(
    client: httpx.AsyncClient, system: EmbeddingSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    revisions = iter("12")
    monkeypatch.setattr(EmbeddingSystem, "revision", property(lambda self: next(revisions)))
    assert "is being replaced" in error_in(await client.post("/vss/embed/vit", files=files(RED, BLUE)), 503)


@pytest.mark.parametrize(("error", "status"), [(ModelUnavailable("vit is asleep"), 503), (Overloaded("full"), 429)])
async def test_what_the_model_says_reaches_the_client_with_its_status(
    client: httpx.AsyncClient, system: EmbeddingSystem, error: ModelUnavailable, status: int
) -> None:
    system.fails_with = error
    answer = await client.post("/vss/embed/vit", files=files(RED))
    assert error_in(answer, status) == error.message
    assert answer.headers["retry-after"]


async def test_without_redis_each_route_says_so(client: httpx.AsyncClient, system: EmbeddingSystem) -> None:
    system.kept.fails_with = ModelUnavailable("there is no application bridge with a Redis to keep vectors in")
    job = "6e1b1c2e-3f5a-4a55-9d1a-0d4f3c3b2a10"
    answers = [await client.post(path, files=files(RED)) for path in ("/vss/embed/vit", "/vss/knn/1/vit")]
    answers += [await client.get(path) for path in ("/vss/projects", "/vss/ids/vit", f"/vss/predict/job/{job}/vit")]
    for answer in answers:
        assert "no application bridge with a Redis" in error_in(answer, 503), answer.url
    assert body_of(await client.get("/vss/health"))["status"] == "ok"


async def test_who_and_what_is_there(client: httpx.AsyncClient) -> None:
    for path in ("/vss", "/vss/"):
        assert "for clients of Fast-VSS" in body_of(await client.get(path))["message"]
    assert set(body_of(await client.get("/vss/health"))) == {"status", "version"}
    assert body_of(await client.get("/vss/projects")) == {"projects": ["vit"]}
    assert body_of(await client.get("/vss/ids/vit")) == {"ids": [], "classes": []}


async def test_hundreds_of_images_go_through_the_model_some_at_a_time(
    client: httpx.AsyncClient, system: EmbeddingSystem
) -> None:
    colours = [coloured(number % 256, number // 256, 7) for number in range(300)]
    submitted = await client.post("/vss/embed/vit", files=files(*colours))
    found = (await done(client, submitted, "vit"))["embeddings"]
    assert found == [[number % 256, number // 256, 7] for number in range(300)]
    assert system.most_at_once == 32
    broken = await client.post("/vss/embed/vit", files=files(*colours[:100], b"no picture", *colours[100:]))
    assert error_in(broken, 422).startswith("image 101: ")
