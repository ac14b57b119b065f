"""`/vss/knn`: the nearest of labelled images, as aipipeline asks for them."""

import httpx
import pytest

from deployments.errors import InvalidRequest
from tests.serve_app.faces.vss.embedding_system import (
    GREEN,
    PROJECT,
    RED,
    EmbeddingSystem,
    body_of,
    coloured,
    done,
    error_in,
    files,
)


@pytest.mark.usefixtures("labelled")
async def test_the_nearest_come_first_with_their_distance(client: httpx.AsyncClient) -> None:
    submitted = await client.post(f"/vss/knn/2/{PROJECT}", files=files(RED, coloured(100, 200, 10)))
    assert await done(client, submitted) == {
        "filenames": ["image-0.png", "image-1.png"],
        "predictions": [["Crab", "Atolla"], ["Kelp", "Crab"]],
        "scores": [[0.0, 0.898], [0.0842, 0.5076]],
        "ids": [["c1", "a1"], ["k1", "c1"]],
    }


@pytest.mark.usefixtures("labelled")
async def test_run_vss_of_aipipeline_finds_its_job_below_knn_and_reads_results(client: httpx.AsyncClient) -> None:
    url = "/vss/knn"  # what its configuration calls vss.url
    sent = [("files", ("/tmp/crops/1.jpg", GREEN)), ("files", ("/tmp/crops/2.jpg", RED))]
    response = await client.post(f"{url}/3/{PROJECT}", headers={"accept": "application/json"}, files=sent)
    assert response.status_code == 200
    status = body_of(await client.get(f"{url}/predict/job/{response.json()['job_id']}/{PROJECT}"))
    assert status["status"] == "done"
    results = status["results"]
    assert results == status["result"]
    assert results["filenames"] == ["/tmp/crops/1.jpg", "/tmp/crops/2.jpg"]
    assert [labels[0] for labels in results["predictions"]] == ["Kelp", "Crab"]
    assert [float(scores[0]) for scores in results["scores"]] == [0.0, 0.0]


@pytest.mark.usefixtures("labelled")
async def test_fewer_are_found_where_there_are_fewer(client: httpx.AsyncClient) -> None:
    result = await done(client, await client.post(f"/vss/knn/100/{PROJECT}/", files=files(RED)))
    assert [len(result[of][0]) for of in ("predictions", "scores", "ids")] == [3, 3, 3]


@pytest.mark.usefixtures("labelled")
async def test_images_are_not_compared_with_those_of_another_revision(
    client: httpx.AsyncClient, system: EmbeddingSystem
) -> None:
    system.revision = "2"
    answer = await client.post(f"/vss/knn/1/{PROJECT}", files=files(RED))
    assert "made by another model" in error_in(answer, 422)


@pytest.mark.usefixtures("labelled")
async def test_a_project_whose_model_is_gone_says_which(client: httpx.AsyncClient, system: EmbeddingSystem) -> None:
    system.records_now = system.records_now[:1]
    for answer in (
        await client.post(f"/vss/knn/1/{PROJECT}", files=files(RED)),
        await client.get(f"/vss/ids/{PROJECT}"),
    ):
        assert "were made by model vit, which is not served now" in error_in(answer, 404)


async def test_a_model_without_labelled_images_finds_none(client: httpx.AsyncClient) -> None:
    answer = await client.post("/vss/knn/1/vit", files=files(RED))
    assert error_in(answer, 422) == "project 'vit' has no labelled images yet; add some first"


@pytest.mark.usefixtures("labelled")
async def test_a_search_that_fails_is_told(
    client: httpx.AsyncClient, system: EmbeddingSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def search(*_: object) -> None:
        raise InvalidRequest("vector 1 of 1 is all zeros, or holds NaN or infinity")

    monkeypatch.setattr(system.kept, "search", search)
    assert "all zeros" in error_in(await client.post(f"/vss/knn/1/{PROJECT}", files=files(RED)), 422)


@pytest.mark.usefixtures("labelled")
async def test_more_images_are_searched_for_than_the_bridge_takes_at_once(client: httpx.AsyncClient) -> None:
    colours = [RED, GREEN] * 50
    result = await done(client, await client.post(f"/vss/knn/1/{PROJECT}", files=files(*colours)))
    assert result["predictions"] == [["Crab"], ["Kelp"]] * 50
