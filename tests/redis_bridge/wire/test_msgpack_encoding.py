"""Jobs in msgpack: what is read, what is refused and how, and that hostile payloads cost no more than their size."""

import tracemalloc
from typing import Any

import msgpack
import numpy as np
import pytest
from redis.asyncio import Redis

from deployments.images import ImageLimits
from redis_bridge import keys
from redis_bridge.store.retry_records import Record, fingerprint
from redis_bridge.wire.job_format import Job, Malformed, WireLimits, id_at_the_front, parse_job
from redis_bridge.wire.msgpack_encoding import MAX_ITEMS, MAX_LIST_ITEMS
from redis_bridge.wire.profiles import QueueProfile
from tests.redis_bridge import producers
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, FakeModel, eventually
from tests.redis_bridge.wire.test_variants import with_profiles

FRAME = QueueProfile.model_validate("msgpack")
PIXELS = QueueProfile.model_validate({"encoding": "msgpack"})
LIMITS = WireLimits(max_job_bytes=2**20, image=ImageLimits(max_encoded_bytes=10_000, max_pixels=5_000))
RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
FILE = producers.jpeg(RGB)

ID = b"\xa2id\xa45e7c"
"""The field `id` of a map, with the value 5e7c."""


def payload(**fields: Any) -> bytes:
    job = {"id": "5e7c", "frame": FILE, **fields}
    packed: bytes = msgpack.packb({name: value for name, value in job.items() if value is not ...}, datetime=True)
    return packed


def parsed(packed: bytes | memoryview, profile: QueueProfile = FRAME) -> Job:
    job = parse_job(packed, LIMITS, {QUEUE}, profile)
    assert isinstance(job, Job), job
    return job


def refused(packed: bytes, profile: QueueProfile = FRAME) -> Malformed:
    malformed = parse_job(packed, LIMITS, {QUEUE}, profile)
    assert isinstance(malformed, Malformed), malformed
    assert len(malformed.error.message) < 300
    return malformed


@pytest.mark.parametrize("view", [bytes, memoryview])
def test_the_file_in_the_named_field_is_the_image(view: Any) -> None:
    job = parsed(view(payload(camera=2, place=[1.5, None])))
    assert job.job_id == "5e7c"
    assert job.image.encoded is not None
    assert job.image.encoded.tobytes() == FILE


@pytest.mark.parametrize("values", [RGB, np.asarray(RGB[:, :, ::-1], np.float32)], ids=["uint8", "float32"])
def test_pixels_need_no_base64(values: Any) -> None:
    packed = payload(frame=..., image=np.ascontiguousarray(values).tobytes(), height=2, width=3)
    np.testing.assert_array_equal(parsed(packed, PIXELS).image.pixels, RGB)


def test_base64_is_read_all_the_same() -> None:
    packed = payload(frame=..., image=producers.text_of(RGB), height=2, width=3)
    np.testing.assert_array_equal(parsed(packed, PIXELS).image.pixels, RGB)


@pytest.mark.parametrize(
    "value", [msgpack.ExtType(5, b"anything"), msgpack.Timestamp(1_700_000_000, 5), float("nan"), b"\xff", 2**64 - 1]
)
def test_a_value_of_any_type_may_stand_in_a_field_that_is_not_read(value: Any) -> None:
    assert parsed(payload(other=value, nested=[{"deeper": value}])).job_id == "5e7c"


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (payload(frame=...), "frame must be bytes or base64 text, got None"),
        (payload(frame=b""), "frame must be bytes or base64 text, got b''"),
        (payload(frame=[1, 2]), "frame must be bytes or base64 text, got [1, 2]"),
        (payload(frame=msgpack.ExtType(5, FILE)), "frame must be bytes or base64 text, got ExtensionValue("),
        (payload(frame=b"no file"), "frame must be a JPEG, PNG, WebP, BMP, TIFF or GIF file on this queue"),
        (payload(frame="!!"), "frame is not valid base64"),
        (payload(frame=b"\xff\xd8\xff" + bytes(10_000)), "the image file has 10003 bytes, the limit is 10000"),
        (payload(done_list=b"list"), "done_list must be text of 1 to 256 characters, got 4 bytes"),
    ],
)
def test_a_wrong_job_is_told_field_limit_and_value_under_its_id(packed: bytes, words: str) -> None:
    malformed = refused(packed)
    assert malformed.job_id == "5e7c"
    assert words in malformed.error.message


@pytest.mark.parametrize(
    ("job_id", "shown"),
    [(b"5e7c", "4 bytes"), (7, "a number"), (..., "nothing"), (msgpack.ExtType(1, b"a"), "something else")],
)
def test_an_id_that_is_not_text_is_never_written_to(job_id: Any, shown: str) -> None:
    malformed = refused(payload(id=job_id))
    assert malformed.job_id is None
    assert malformed.error.message == f"id must be text of 1 to 256 characters, got {shown}"


@pytest.mark.parametrize(
    ("packed", "kind"), [(b"\xc0", "nothing"), (b"\x90", "a list"), (b"\x07", "a number"), (b"\xc4\x01a", "1 bytes")]
)
def test_what_is_not_a_map_is_not_a_job(packed: bytes, kind: str) -> None:
    assert refused(packed).error.message == f"a job must be a msgpack map, got {kind}"


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (b"", "it ends too early"),
        (b"\x82" + ID, "it ends too early"),
        (b"\x82" + ID + b"\xa5frame\xc6\xff\xff\xff\xffabc", "it ends too early"),
        (b"\x82" + ID + b"\xa5frame\xdb\xff\xff\xff\xffabc", "it ends too early"),
        (b"\x81" + ID + b"and more", "8 bytes follow its end"),
        (b"\x82" + ID + b"\xa5frame\xa2\xff\xd8", "a str is not UTF-8 (byte 0xff); bytes must be of the type bin"),
        (b"\x82" + ID + b"\xa1a\xc1", "it has the byte 0xc1, which MessagePack does not use"),
        (b"\x82" + ID + b"\xa1a" + b"\x91" * 5000 + b"\xc0", "it is nested too deeply"),
        (b"\x82" + ID + b"\xa1a" + b"\x81\xa1a" * 5000 + b"\xc0", "it is nested too deeply"),
        (b"\x82" + ID + b"\xa1a\xdd\xff\xff\xff\xff", f"array of 4294967295 items, the limit is {MAX_LIST_ITEMS}"),
        (b"\x82" + ID + b"\xa1a\xdf\xff\xff\xff\xff", f"map of 4294967295 items, the limit is {MAX_LIST_ITEMS}"),
        (b"\x82" + ID + b"\xa1a\xc9\xff\xff\xff\xff\x05", "it ends too early"),
        (b"\x82" + ID + b"\x07\x07", "the keys of a map must be str, got int"),
        (b"\x82" + ID + b"\x90\x07", "the keys of a map must be str, got list"),
        (b"\x82" + ID + b"\xa1a\xd4\xff\x01", "invalid timestamp"),
        (b'{"id": "5e7c"}', "bytes follow its end"),
    ],
)
def test_what_cannot_be_read_is_told_why(packed: bytes, words: str) -> None:
    malformed = refused(packed)
    assert malformed.error.code == "invalid-request"
    assert malformed.error.message.startswith("the job is not valid msgpack: ")
    assert words in malformed.error.message
    assert malformed.job_id == ("5e7c" if ID in packed else None)


def test_a_negative_extension_code_is_data_like_any_other() -> None:
    packed = payload()
    assert packed[0] == 0x82
    assert parsed(b"\x83" + packed[1:] + b"\xa5other\xd4\xf0b").job_id == "5e7c"


def hostile_lists() -> list[Any]:
    """Payloads whose values would take far more memory than their bytes."""
    row = b"\xdc" + MAX_LIST_ITEMS.to_bytes(2, "big") + b"\x90" * MAX_LIST_ITEMS
    full = b"\xdc" + MAX_LIST_ITEMS.to_bytes(2, "big")
    return [
        pytest.param(b"\xdc\x00\x3c" + row * 60, id="empty lists"),
        pytest.param(b"\xdc\x00\x3c" + row.replace(b"\x90", b"\x80") * 60, id="empty maps"),
        pytest.param(full * 1000, id="promises of items"),
    ]


@pytest.mark.parametrize("value", hostile_lists())
def test_a_hostile_payload_takes_no_more_memory_than_a_large_job(value: bytes) -> None:
    packed = b"\x82" + ID + b"\xa1a" + value
    assert len(packed) <= LIMITS.max_job_bytes
    tracemalloc.start()
    try:
        malformed = refused(packed)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert malformed.job_id == "5e7c"
    assert peak_bytes < 150 * 2**20
    assert f"{MAX_ITEMS} items" in malformed.error.message or "ends too early" in malformed.error.message


def test_an_over_long_payload_is_refused_unread_but_answered() -> None:
    malformed = refused(payload(frame=bytes(2**20)))
    assert (malformed.job_id, malformed.error.code) == ("5e7c", "image-too-large")


def test_random_damage_never_raises() -> None:
    random = np.random.default_rng(11)
    packed = payload(shape=[2, 3], points=[{"x": 1, "y": 2.5}], at=msgpack.Timestamp(5))
    for _ in range(3000):
        damaged = bytearray(packed[: random.integers(1, len(packed) + 1)])
        for place in random.integers(0, min(len(damaged), 60), 3):
            damaged[place] = random.integers(0, 256)
        assert isinstance(parse_job(bytes(damaged), LIMITS, (), FRAME), Job | Malformed)
        id_at_the_front(bytes(damaged), (), FRAME)


@pytest.mark.parametrize("header", [b"\x82", b"\xde\x00\x02", b"\xdf\x00\x00\x00\x02", b"\xdf\xff\xff\xff\xff"])
@pytest.mark.parametrize("value", ["5e7c", "é" * 16, "x" * 256])
def test_the_id_is_found_at_the_front_alone(header: bytes, value: str) -> None:
    front = header + msgpack.packb("id") + msgpack.packb(value)
    assert id_at_the_front(front + b"\xa5frame\xc6\xff", {QUEUE}, FRAME) == value
    assert id_at_the_front(memoryview(front + bytes(2**16)), {QUEUE}, FRAME) == value
    assert id_at_the_front(header + b"\xa1a\xc0" + front[len(header) :], {QUEUE}, FRAME) is None


@pytest.mark.parametrize(
    "front",
    [
        b"",
        b"\x82",
        b"\x82\xa2id",
        b"\x82\xa2id\xa45e",
        b"\x92\xa2id\xa45e7c",
        b"\x82\xa2id\xc4\x045e7c",
        b"\x82\xa2id\x91\xa45e7c",
        b"\x82\xa2id\xdb\xff\xff\xff\xff5e7c",
        b"\x82\xa2id\xa1\xff",
        b"\x82\xa2id\xa1\n",
        b"\x82\xa2id\xd9" + bytes([len(keys.BRIDGES)]) + keys.BRIDGES.encode(),
        b"\x82\xa2id" + msgpack.packb("x" * 257),
        b"\xc1",
    ],
)
def test_nothing_is_found_where_there_is_no_id_to_write_to(front: bytes) -> None:
    assert id_at_the_front(front, {QUEUE}, FRAME) is None


async def test_a_client_is_told_its_error_in_msgpack(redis: Redis, start_bridge: StartBridge) -> None:
    unreadable = b"\x82" + ID + b"\xa5frame\xc1"
    await redis.rpush(QUEUE, unreadable)
    async with start_bridge(with_profiles({QUEUE: "msgpack"})):
        await eventually(lambda: redis.exists("5e7c"))
        answer = msgpack.unpackb(await redis.get("5e7c"))
        assert answer["error"]["code"] == "invalid-request"
        assert answer["error"]["message"].startswith("the job is not valid msgpack: ")
        assert await redis.lrange(f"{keys.DEAD_LETTER_PAYLOAD}1", 0, -1) == [unreadable]


async def test_the_client_of_a_job_that_is_better_not_read_is_told_in_msgpack(
    redis: Redis, predict: FakeModel, start_bridge: StartBridge
) -> None:
    await redis.rpush(QUEUE, payload())
    killer = Record(FAST.max_attempts, 1e9, is_suspect=True)
    await redis.hset(keys.attempts(QUEUE), fingerprint(payload()), killer.text())
    await redis.expire(keys.attempts(QUEUE), 60)
    async with start_bridge(with_profiles({QUEUE: "msgpack"})):
        await eventually(lambda: redis.exists("5e7c"))
    assert msgpack.unpackb(await redis.get("5e7c"))["error"]["code"] == "internal"
    assert predict.calls == 0
