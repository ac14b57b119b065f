"""`fathom biigle` between a server of ours and one of BIIGLE."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from tests.client.command.conftest import Ended, Fathom
from tests.client.fake_server import FakeServer, open_door
from tests.client.stub_biigle import EMAIL, FISH, TOKEN, VIDEOS, VOLUME, StubBiigle

BOX = [1, 2, 30.5, 2, 30.5, 40, 1, 40]

Run = Callable[..., Ended]


@pytest.fixture
def biigle() -> StubBiigle:
    """Files of the fake server: a number is the score of its one fish."""
    return StubBiigle({21: b"50", 22: b"75"})


@pytest.fixture
def run(biigle: StubBiigle, fathom: Fathom, server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("BIIGLE_API_EMAIL", EMAIL)
    monkeypatch.setenv("BIIGLE_API_TOKEN", TOKEN)
    with open_door() as stub:
        stub.app = biigle.app()

        def run_it(*more: object, model: str = "demo", volume: int = VOLUME, host: str = stub.address) -> Ended:
            return fathom("biigle", "--model", model, "--volume-id", volume, "--host", host, *more)

        yield run_it


def kept(biigle: StubBiigle) -> list[tuple[int, int, list[float], int]]:
    return [(one["image_id"], one["shape_id"], one["points"], one["labels"][0]["label_id"]) for one in biigle.kept]


def test_boxes_become_rectangles_and_are_never_written_twice(run: Run, biigle: StubBiigle) -> None:
    ended = run()
    assert ended.status == 0, ended.err
    assert kept(biigle) == [(21, 5, BOX, FISH), (22, 5, BOX, FISH)]
    assert [one["labels"][0]["confidence"] for one in biigle.kept] == [0.5, 0.75]
    assert "2 annotations written, in 2 of 2 images" in ended.err
    biigle.files[23] = b"10"
    again = run()
    assert (again.status, len(biigle.kept)) == (0, 3)
    assert "1 annotations written, in 3 of 3 images" in again.err


def with_detections(server: FakeServer, monkeypatch: pytest.MonkeyPatch, *members: dict[str, Any]) -> None:
    box = {"x1": 1.0, "y1": 2.0, "x2": 30.5, "y2": 40.0}
    found = [{"label": "Fish", "class_id": 0, "score": 0.5, "box": box, **one} for one in members]
    monkeypatch.setattr(server, "result", lambda text: {"detections": found})


def test_masks_become_polygons_and_rotated_boxes_stay_rotated(
    run: Run, biigle: StubBiigle, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    corners = [[10, 0], [20, 10], [10, 20], [0, 10]]
    with_detections(
        server,
        monkeypatch,
        {"polygon": [[0, 0], [5.004, 0], [5, 5]]},
        {"corners": corners},
        {"box": {"x1": 3.0, "y1": 3.0, "x2": 3.001, "y2": 9.0}},
        {"polygon": [[1, 1], [1, 1], [1, 1]]},
    )
    biigle.files.pop(22)
    assert run().status == 0
    polygon = [0, 0, 5, 0, 5, 5, 0, 0]
    assert kept(biigle) == [(21, 3, polygon, FISH), (21, 5, [10, 0, 20, 10, 10, 20, 0, 10], FISH)]


def test_many_animals_are_written_in_requests_that_biigle_takes(
    run: Run, biigle: StubBiigle, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = [{"box": {"x1": at, "y1": 2.0, "x2": at + 5, "y2": 9.0}} for at in range(250)]
    with_detections(server, monkeypatch, *boxes)
    biigle.files.pop(22)
    assert run().status == 0
    assert len(biigle.kept) == 250


def test_a_dry_run_prints_and_writes_nothing(run: Run, biigle: StubBiigle) -> None:
    ended = run("--dry-run")
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert [(one["image_id"], one["points"]) for one in lines] == [(21, BOX), (22, BOX)]
    assert (ended.status, biigle.kept) == (0, [])


def test_labels_are_found_by_their_name_or_by_the_map(run: Run, biigle: StubBiigle, tmp_path: Path) -> None:
    biigle.labels = {5: "Crab"}
    ended = run()
    assert (ended.status, biigle.kept) == (0, [])
    assert "passed over: 2 of 'Fish', which is no label of the volume's projects" in ended.err
    biigle.labels = {5: "Fish", 6: "Fish"}
    assert "'Fish' is the name of 2 labels, [5, 6]: --label-map says which" in (ended := run()).err
    assert (ended.status, biigle.kept) == (2, [])
    labels = tmp_path / "labels.json"
    labels.write_text('{"Fish": 6}')
    assert run("--label-map", labels).status == 0
    assert [one[3] for one in kept(biigle)] == [6, 6]
    labels.write_text('{"Fish": "6"}')
    assert run("--label-map", labels).status == 2


def test_an_image_that_cannot_be_had_does_not_keep_the_others_from_being_done(run: Run, biigle: StubBiigle) -> None:
    biigle.files = {21: None, 22: b"bad", 23: b"50"}
    ended = run()
    assert ended.status == 1
    assert [one[0] for one in kept(biigle)] == [23]
    assert "21.jpg: it is so large that BIIGLE has it in tiles" in ended.err
    assert "22.jpg: the image cannot be read" in ended.err
    assert "1 annotations written, in 1 of 3 images" in ended.err


def test_the_token_is_not_sent_to_where_images_are(run: Run, biigle: StubBiigle) -> None:
    with open_door() as elsewhere:
        elsewhere.app = biigle.app()
        biigle.elsewhere = elsewhere.address
        assert run().status == 0
    assert biigle.authorised_elsewhere == [None, None]
    assert len(biigle.kept) == 2


def test_an_empty_volume_is_done(run: Run, biigle: StubBiigle) -> None:
    biigle.files = {}
    ended = run()
    assert (ended.status, "0 annotations written, in 0 of 0 images" in ended.err) == (0, True)


def test_what_cannot_be_done_is_said(
    run: Run, biigle: StubBiigle, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def said(status: int, words: str, **changed: Any) -> None:
        ended = run(**changed)
        assert (ended.status, biigle.kept) == (status, []), ended.err
        assert words in ended.err

    said(1, "videos of BIIGLE are not looked at", volume=VIDEOS)
    said(1, "with 404", volume=6)
    said(2, "no model gone", model="gone")
    said(3, "http://127.0.0.1:9 cannot be reached", host="http://127.0.0.1:9")
    server.kind = "classes"
    said(1, "does not answer with 'detections' but with 'classes'")
    biigle.answers_everything = PlainTextResponse("<html>hello</html>")
    said(1, "does not answer as BIIGLE does")
    biigle.answers_everything = JSONResponse({"one": ["two"]})
    said(1, "does not answer as BIIGLE does")
    biigle.answers_everything = None
    monkeypatch.setenv("BIIGLE_API_TOKEN", "wrong")
    said(1, "with 401: Unauthenticated.")
    monkeypatch.delenv("BIIGLE_API_TOKEN")
    said(2, "BIIGLE_API_EMAIL and BIIGLE_API_TOKEN are missing")
