"""Answers of `/v1` in another format: what the format is given, and what it cannot be given."""

from collections.abc import Sequence

import httpx
import pytest

from deployments.errors import InvalidImage, InvalidRequest
from deployments.prediction import Opaque, Outcome
from serve_app.faces.v1.answers import Answered, write
from serve_app.faces.v1.sent import SentImage
from serve_app.formats.contract import Answer, Format
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.v1.predicting import PATH, SCORES, post_form, post_json, post_raw, prediction, problem_in
from tests.serve_app.uploads import picture


def lines(answers: Sequence[Answer]) -> bytes:
    said = (f"{one.file_name},{one.prediction.model},{len(one.encoded or b'')}" for one in answers)
    return "\n".join(said).encode()


LINES = Format("text/csv", "csv", lines)
DRAWN = Format("image/png", "png", lines, needs_images=True)


def answered(system: FakeSystem, *outcomes: Outcome, names: Sequence[str | None] = ()) -> Answered:
    sent = [SentImage(b"file", name) for name in names or [None] * len(outcomes)]
    return Answered(system.records()[0], sent, outcomes)


def test_a_format_gets_the_answers_with_the_names_of_the_files(system: FakeSystem) -> None:
    names = ["dive.png", None, "of/a folder/x.jpg", "C:\\frames\\y.png", "..", "a/"]
    response = write(answered(system, *[prediction(SCORES)] * 6, names=names), LINES, system)
    files = [line.split(b",")[0].decode() for line in response.body.split(b"\n")]
    assert files == ["dive.png", "image-2.jpg", "x.jpg", "y.png", "image-5.jpg", "image-6.jpg"]
    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["content-disposition"] == 'inline; filename="predictions.csv"'


def test_the_image_goes_along_where_the_format_draws_on_it(system: FakeSystem) -> None:
    assert write(answered(system, prediction(SCORES)), LINES, system).body.endswith(b",0")
    response = write(answered(system, prediction(SCORES)), DRAWN, system)
    assert response.body.endswith(b",4")
    assert response.headers["server-timing"].startswith("decode;dur=")


def test_several_images_may_be_a_zip(system: FakeSystem) -> None:
    each = Format("image/png", "png", lines, is_file_each=True)
    one = write(answered(system, prediction(SCORES)), each, system)
    two = write(answered(system, prediction(SCORES), prediction(SCORES)), each, system)
    assert [response.headers["content-type"] for response in (one, two)] == ["image/png", "application/zip"]
    assert two.headers["content-disposition"] == 'inline; filename="predictions.zip"'


async def test_what_cannot_be_written_is_not_acceptable(client: httpx.AsyncClient, system: FakeSystem) -> None:
    answer = await client.post(PATH, content=picture(), headers={"accept": "video/mp4"})
    assert "application/json" in problem_in(answer, 406)["detail"]
    assert system.asked == []


def test_a_failed_image_makes_the_whole_request_a_problem(system: FakeSystem) -> None:
    with pytest.raises(InvalidImage, match="image 2: it is broken"):
        write(answered(system, prediction(SCORES), InvalidImage("it is broken")), LINES, system)


def test_the_answer_of_an_external_worker_is_json_only(system: FakeSystem) -> None:
    with pytest.raises(InvalidRequest, match="benthic-demo runs elsewhere"):
        write(answered(system, Opaque(b"{}", "benthic-demo")), LINES, system)


async def test_a_format_that_is_not_there_is_told_before_a_model_is_asked(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    for sent in (
        post_raw(client, picture(), format="cocoo"),
        post_form(client, format="cocoo"),
        post_json(client, format="cocoo"),
    ):
        assert "'cocoo'" in problem_in(await sent, 422)["detail"]
    assert system.asked == []
    for answer in (await post_raw(client, picture(), format="json"), await post_json(client, format="JSON")):
        assert answer.json()["images"]
