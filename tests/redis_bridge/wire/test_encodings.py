"""What every encoding of the wire does alike, those to come included."""

import base64
from typing import Any

import numpy as np
import pytest

from deployments.errors import InvalidImage
from deployments.prediction import Detections, Prediction
from redis_bridge import keys
from redis_bridge.wire import job_format
from redis_bridge.wire.encoding_contract import FRONT_BYTES, Encoding
from redis_bridge.wire.encodings import ENCODINGS
from redis_bridge.wire.job_format import Job, Malformed, WireLimits, id_at_the_front, parse_job
from redis_bridge.wire.profiles import QueueProfile

LIMITS = WireLimits(max_job_bytes=2**20)
RGB = np.arange(40 * 50 * 3).astype(np.uint8).reshape(40, 50, 3)

FOUND = Prediction(
    Detections(
        np.array([[1.5, 2, 30, 40.25]], np.float32),
        np.array([0.75], np.float32),
        np.array([3], np.int32),
        ("Röhrenwurm",),
    ),
    (100, 200),
    "demo",
    "1",
)


@pytest.fixture(params=list(ENCODINGS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def encoding(name: str) -> Encoding:
    return ENCODINGS[name]


@pytest.fixture
def profile(name: str) -> QueueProfile:
    return QueueProfile(encoding=name, image_field="frame")


def fields(**more: Any) -> dict[str, Any]:
    return {"id": "5e7c", "frame": base64.b64encode(RGB.tobytes()).decode(), "height": 40, "width": 50, **more}


@pytest.mark.parametrize("view", [bytes, memoryview])
def test_the_image_is_in_the_field_that_the_profile_names(
    view: Any, encoding: Encoding, profile: QueueProfile
) -> None:
    job = parse_job(
        view(encoding.write(fields(image="another", other=[1, 2.5, None, {"a": True}]))), LIMITS, (), profile
    )
    assert isinstance(job, Job), job
    assert job.job_id == "5e7c"
    np.testing.assert_array_equal(job.image.pixels, RGB)


def test_a_job_without_the_named_field_is_told_its_name(encoding: Encoding, profile: QueueProfile) -> None:
    job = fields()
    job["image"] = job.pop("frame")
    malformed = parse_job(encoding.write(job), LIMITS, (), profile)
    assert isinstance(malformed, Malformed)
    assert malformed.error.message == f"frame must be {encoding.image_type}, got None"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frame": "!!"}, "frame is not valid base64: '!' at character 0"),
        ({"height": 41}, "frame has 6000 bytes, but height 41 and width 50 need 6150 (uint8 RGB) or 24600"),
        ({"frame": "data:image/png,x"}, "frame is a data URI without ;base64"),
        ({"done_list": "5e7c"}, "done_list must be another key than that of the answer"),
    ],
)
def test_a_wrong_field_is_named(
    changes: dict[str, Any], words: str, encoding: Encoding, profile: QueueProfile
) -> None:
    malformed = parse_job(encoding.write(fields(**changes)), LIMITS, (), profile)
    assert isinstance(malformed, Malformed)
    assert malformed.job_id == "5e7c"
    assert malformed.error.message.startswith(words)


@pytest.mark.parametrize("value", [None, [], "text", 7, True])
def test_only_an_object_is_a_job(value: Any, encoding: Encoding, profile: QueueProfile) -> None:
    malformed = parse_job(encoding.write(value), LIMITS, (), profile)
    assert isinstance(malformed, Malformed)
    assert malformed.error.message.startswith(f"a job must be {encoding.job_type}, got ")


def test_what_cannot_be_read_is_named_after_the_encoding(encoding: Encoding, profile: QueueProfile) -> None:
    for payload in (b"", b"\xc1", b"\xff\xfe", encoding.write(fields())[:-1]):
        malformed = parse_job(payload, LIMITS, (), profile)
        assert isinstance(malformed, Malformed)
        assert malformed.error.message.startswith(f"the job is not valid {encoding.title}: ")


def test_the_id_of_what_cannot_be_read_is_found_when_it_is_the_first_field(
    encoding: Encoding, profile: QueueProfile
) -> None:
    cut_off = encoding.write(fields())[:FRONT_BYTES]
    assert id_at_the_front(cut_off, (), profile) == "5e7c"
    assert id_at_the_front(encoding.write({"first": 1, **fields()}), (), profile) is None
    assert id_at_the_front(encoding.write(fields(id=keys.BRIDGES)), (), profile) is None
    assert id_at_the_front(encoding.write(fields(id=7)), (), profile) is None
    malformed = parse_job(cut_off, LIMITS, (), profile)
    assert isinstance(malformed, Malformed)
    assert malformed.job_id == "5e7c"


def test_answers_and_errors_are_the_same_values_in_every_encoding(encoding: Encoding, profile: QueueProfile) -> None:
    answer = encoding.read(job_format.answer(FOUND, profile), "frame")
    assert answer == [{"category_id": "Röhrenwurm", "scores": [0.75], "bbox": [1.5, 2.0, 30.0, 40.25]}]
    error = encoding.read(job_format.answer(InvalidImage("too dark"), profile), "frame")
    assert error == {"error": {"code": "invalid-image", "message": "too dark"}}


def test_damage_never_raises(encoding: Encoding, profile: QueueProfile) -> None:
    random = np.random.default_rng(13)
    packed = encoding.write(fields(frame="AAAA", shape=[1, 2, 3], points=[{"x": 1, "y": 2.5}]))
    for _ in range(2000):
        damaged = bytearray(packed[: random.integers(1, len(packed) + 1)])
        for place in random.integers(0, len(damaged), 3):
            damaged[place] = random.integers(0, 256)
        assert isinstance(parse_job(bytes(damaged), LIMITS, (), profile), Job | Malformed)
        id_at_the_front(bytes(damaged), (), profile)


def test_nesting_without_end_is_refused(encoding: Encoding, profile: QueueProfile) -> None:
    nested: Any = 1
    for _ in range(200):
        nested = [nested]
    inner = encoding.write(nested)
    opened = inner[: inner.index(encoding.write(1))]
    malformed = parse_job(opened * 500 + encoding.write(1), LIMITS, (), profile)
    assert isinstance(malformed, Malformed)
    assert "nested too deeply" in malformed.error.message
