"""What /setup says of a project: where its files are, with which token, and for whom it counts."""

from pathlib import Path

import httpx

from serve_app.faces.label_studio.projects import MAX_PROJECTS, Projects, Uploads
from serve_app.settings import DoorSettings
from tests.serve_app.access.guarded import Guarded, bearer
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.label_studio.asking import MODEL, refusal_of, request_of, results_of, setup_of
from tests.serve_app.uploads import picture
from tests.support.image_host import ImageHost, image_host, redirect, reply

TOKEN = "abcdef0123"


async def test_an_uploaded_file_is_fetched_with_the_token_of_setup(
    client: httpx.AsyncClient, host: ImageHost
) -> None:
    assert (await client.post(f"{MODEL}/setup", json=setup_of(hostname=host.url, token=TOKEN))).status_code == 200
    assert len(await results_of(client, request_of("/data/upload/1/frame.png"))) == 2
    assert host.headers_of("/data/upload/1/frame.png")["authorization"] == f"Token {TOKEN}"
    # Another project has no token, until it has called /setup too.
    sentence = await refusal_of(client, "/predict", {**request_of("/data/upload/1/frame.png"), "project": "2.1"})
    assert "which has not called /setup for this project since this server started" in sentence
    own = request_of("/data/upload/1/frame.png", hostname=host.url, access_token="other")
    assert len(await results_of(client, {**own, "project": "2.1"})) == 2
    assert host.headers_of("/data/upload/1/frame.png")["authorization"] == "Token other"


async def test_what_came_with_one_api_key_counts_for_no_other(
    host: ImageHost, settings: DoorSettings, system: FakeSystem, tmp_path: Path
) -> None:
    guarded = Guarded(tmp_path, system, settings)
    mine, anothers = bearer(guarded.predict), bearer(guarded.admin)
    uploaded = request_of("/data/upload/1/frame.png")
    async with guarded.client() as client, image_host() as wrong:
        setup = setup_of(hostname=host.url, token=TOKEN)
        assert (await client.post(f"{MODEL}/setup", json=setup, headers=mine)).status_code == 200
        answer = await client.post(f"{MODEL}/predict", json=uploaded, headers=anothers)
        assert answer.status_code == 422
        assert "has not called /setup for this project" in answer.json()["error"]
        assert host.asked == []
        setup = setup_of(hostname=wrong.url, token="")
        assert (await client.post(f"{MODEL}/setup", json=setup, headers=anothers)).status_code == 200
        answer = await client.post(f"{MODEL}/predict", json=uploaded, headers=mine)
        assert answer.status_code == 200
        assert host.headers_of("/data/upload/1/frame.png")["authorization"] == f"Token {TOKEN}"


async def test_the_token_goes_nowhere_else(client: httpx.AsyncClient, host: ImageHost) -> None:
    async with image_host() as other:
        other.answers["/frame.png"] = reply(picture())
        host.answers["/data/away"] = redirect(f"{other.url}/frame.png")
        await client.post(f"{MODEL}/setup", json=setup_of(hostname=host.url, token=TOKEN))
        for image in (f"{other.url}/frame.png", "/data/away"):
            assert "is not among the hosts" in await refusal_of(client, "/predict", request_of(image))
        # A path that looks like another host is a path.
        sentence = await refusal_of(client, "/predict", request_of(f"//127.0.0.1:{other.port}/frame.png"))
        assert f"127.0.0.1:{host.port} answered 404" in sentence
        # Whoever names another Label Studio does not get this one's token.
        stolen = request_of("/frame.png", hostname=other.url)
        assert "is not among the hosts" in await refusal_of(client, "/predict", stolen)
        await client.post(f"{MODEL}/setup", json=setup_of(hostname=other.url, token=""))
        assert "is not among the hosts" in await refusal_of(client, "/predict", request_of("/frame.png"))
        assert other.asked == []


def test_the_oldest_project_is_forgotten_first() -> None:
    projects = Projects()
    uploads = Uploads.said_in({"hostname": "http://labels.ship:8080", "access_token": TOKEN})
    for number in range(MAX_PROJECTS):
        projects.remember("", str(number), uploads)
    assert projects.of("", "0") == uploads
    projects.remember("", "one more", uploads)
    assert projects.of("", "1") is None
    assert projects.of("", "0") == uploads
    projects.remember("", "0", None)
    assert projects.of("", "0") is None
