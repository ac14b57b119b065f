"""The texts for external workers, against what the legacy web server wrote, byte by byte."""

import base64
import io
import json

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

from deployments.errors import ImageTooLarge, InternalError, InvalidImage, InvalidRequest
from deployments.external import ExternalRequest, Task
from deployments.request import Image
from redis_bridge.external.wire import ExternalJob, checked_answer, file_bytes, job_text, needed_bytes

ENOUGH = 2**20


def frame(mode: str = "RGB", orientation: int | None = None) -> bytes:
    """A PNG of 7 x 5 pixels, all different."""
    colours = np.random.default_rng(7).integers(0, 256, (5, 7, 3), np.uint8)
    buffer = io.BytesIO()
    exif = PIL.Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    PIL.Image.fromarray(colours).convert(mode).save(buffer, "PNG", exif=exif)
    return buffer.getvalue()


def job(task: Task, file: bytes, prompts: object = None) -> ExternalJob:
    return ExternalJob("image_queue_x", ExternalRequest(task, Image.from_encoded(file), 5.0, prompts))


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P"])
def test_a_picture_is_written_as_the_old_server_wrote_it(mode: str) -> None:
    file = frame(mode)
    rgb = np.array(PIL.Image.open(io.BytesIO(file)).convert("RGB")).astype("float32")
    bgr = np.expand_dims(rgb[:, :, ::-1].copy(), axis=0).copy(order="C")
    one = job(Task.PREDICT, file)
    old = {"id": one.job_id, "image": base64.b64encode(bgr).decode(), "height": 5, "width": 7}
    assert job_text(one, ENOUGH) == json.dumps(old).encode()


def test_the_orientation_of_the_file_does_not_count_for_detection() -> None:
    assert json.loads(job_text(job(Task.PREDICT, frame(orientation=6)), ENOUGH))["width"] == 7


def test_pixels_are_taken_as_they_are() -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    one = ExternalJob("q", ExternalRequest(Task.PREDICT, Image.from_pixels(pixels), 5.0))
    text = json.loads(job_text(one, ENOUGH))
    sent = np.frombuffer(base64.b64decode(text["image"]), np.float32).reshape(2, 3, 3)
    assert np.array_equal(sent, pixels[:, :, ::-1])


@pytest.mark.parametrize("orientation", [None, 1, 2, 3, 4, 5, 6, 7, 8, 99])
def test_segmenting_gets_upright_rgb_bytes_and_the_prompts(orientation: int | None) -> None:
    file = frame(orientation=orientation)
    prompts = [{"x": 3, "y": 4, "label": "é"}]
    upright = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(file))))
    one = job(Task.SEGMENT, file, prompts)
    old = {
        "id": one.job_id,
        "image": base64.b64encode(np.expand_dims(upright, axis=0).copy(order="C")).decode(),
        "height": upright.shape[0],
        "width": upright.shape[1],
        "prompts": prompts,
    }
    assert job_text(one, ENOUGH) == json.dumps(old).encode()


def test_a_file_is_named_and_not_sent() -> None:
    one = job(Task.SEGMENT_FILE, frame(), {"points": [[1, 2]]})
    assert (
        job_text(one, ENOUGH)
        == json.dumps({"id": one.job_id, "img_key": one.image_key, "prompts": {"points": [[1, 2]]}}).encode()
    )
    assert bytes(file_bytes(one)) == frame()
    embed = job(Task.EMBED, b"whatever the file is")
    assert (
        job_text(embed, ENOUGH)
        == json.dumps(
            {"id": embed.job_id, "img_key": embed.image_key, "prompts": {"fake": "data"}, "embedding": True}
        ).encode()
    )
    assert [one.sends_file, job(Task.PREDICT, b"x").sends_file] == [True, False]


def test_the_same_job_has_the_same_text_again() -> None:
    """As it is taken back by its text, which is not kept."""
    one = job(Task.PREDICT, frame())
    assert job_text(one, ENOUGH) == job_text(one, ENOUGH)


def test_a_job_over_the_limit_is_refused_before_it_is_made() -> None:
    assert len(job_text(job(Task.PREDICT, frame()), 900)) <= 900
    with pytest.raises(ImageTooLarge, match=r"7 x 5 pixels, which makes a job of 816 bytes .* limit is 800"):
        job_text(job(Task.PREDICT, frame()), 800)


@pytest.mark.parametrize("task", [Task.PREDICT, Task.SEGMENT])
def test_a_small_file_of_a_huge_picture_is_refused_before_it_is_decoded(task: Task) -> None:
    buffer = io.BytesIO()
    PIL.Image.new("1", (8000, 8000)).save(buffer, "PNG")
    cut_off = buffer.getvalue()[:100]
    with pytest.raises(ImageTooLarge, match="8000 x 8000 pixels, which makes a job of"):
        job_text(job(task, cut_off), 2**25)


def test_what_a_text_takes_is_known_from_the_header() -> None:
    values = 5 * 7 * 3
    for task, array_bytes in ((Task.PREDICT, values * 4), (Task.SEGMENT, values)):
        one = job(task, frame())
        text_bytes = len(job_text(one, ENOUGH))
        assert 0 <= needed_bytes(one, ENOUGH) - (values + array_bytes + text_bytes) < 256
    assert needed_bytes(job(Task.SEGMENT_FILE, frame()), ENOUGH) == 0


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(InvalidImage):
        job_text(job(Task.SEGMENT, b"no picture"), ENOUGH)


def test_a_deadline_must_be_one() -> None:
    with pytest.raises(InvalidRequest, match=r"deadline_s must be above 0 .* got -1"):
        ExternalRequest(Task.EMBED, Image.from_encoded(b"x"), -1)


def test_an_answer_must_be_json_but_for_embeddings() -> None:
    assert checked_answer("q", Task.PREDICT, b'{"bboxes": []}') == b'{"bboxes": []}'
    assert checked_answer("q", Task.EMBED, b"\x00\xff") == b"\x00\xff"
    for text in (b"", b"[NaN]", b"Traceback"):
        with pytest.raises(InternalError, match="worker of queue q gave an answer that is not JSON"):
            checked_answer("q", Task.SEGMENT, text)


def test_a_file_is_needed_where_the_file_is_sent() -> None:
    pixels = Image.from_pixels(np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(InternalError, match="segment-file needs the image file"):
        file_bytes(ExternalJob("q", ExternalRequest(Task.SEGMENT_FILE, pixels, 1.0)))
