"""A replica's decoding is bounded in memory and in time, and what is over a bound hurts nobody else."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from deployments.definition import ModelDefinition, ModelKnobs, Tiling
from deployments.errors import DeadlineExceeded, ImageTooLarge
from deployments.image_formats.metered import MeteredFile
from deployments.images import ImageLimits, to_pixels
from deployments.prediction import Prediction
from deployments.request import Image, Options, Request
from deployments.runtimes import Resources
from deployments.serving.decoding import Decoding
from deployments.serving.replica import Replica
from deployments.serving.request_state import SMALL_IMAGE_BYTES, MustWait, Received
from deployments.serving.watchdog import Watchdog
from tests.support import odd_files
from tests.support.no_meter import NoMeter
from tests.support.odd_files import COLOURS, bmp_of_runs, coloured, jpeg_of_scans, png_of_zeros, tiff_of_strips

pytestmark = pytest.mark.alone
BYTES = COLOURS.nbytes


def received(content: bytes = b"", deadline_s: float = 30.0) -> Received:
    request = Request(Image.from_encoded(content or coloured("PNG")), deadline_s=deadline_s)
    return Received(request, time.monotonic() + deadline_s)


class Began(NoMeter):
    """`began` is set when a batch is run."""

    def __init__(self) -> None:
        self.began = asyncio.Event()

    def batch(self, size: int, in_work: int) -> None:
        self.began.set()


def replica(**parameters: float) -> Replica:
    definition = ModelDefinition(family="fixed-answer", parameters=parameters)
    return Replica("fixed", definition, Resources(), NoMeter())


async def decoded_in_turn(decoding: Decoding, waiting: MustWait) -> bool:
    async with decoding.turn(waiting):
        return not isinstance(decoding.pixels(waiting.received), MustWait)


async def test_pixels_wait_for_room_and_give_it_back() -> None:
    decoding = Decoding(max_held_bytes=BYTES)
    first, second = received(), received()
    assert not isinstance(decoding.pixels(first), MustWait)
    must_wait = decoding.pixels(second)
    assert isinstance(must_wait, MustWait)
    assert must_wait.wanted_bytes == BYTES
    waiting = asyncio.ensure_future(decoded_in_turn(decoding, must_wait))
    first.room.release()
    assert await waiting
    assert decoding.held.held_bytes == BYTES
    second.room.release()
    assert decoding.held.held_bytes == 0


@pytest.mark.parametrize(
    "slow",
    [
        pytest.param(lambda: png_of_zeros(4000, 4000), id="many pixels"),
        pytest.param(lambda: jpeg_of_scans(100, side_px=2000), id="many scans"),
        pytest.param(lambda: bmp_of_runs(1000, (b"\1\5" * 1000 + b"\0\0") * 1000 + b"\0\1"), id="run lengths"),
        pytest.param(lambda: tiff_of_strips((1000, 60_000), 1, bytes(1000)), id="many strips"),
        pytest.param(lambda: odd_files.webp_of_noise(1250), id="many bytes"),
    ],
)
async def test_an_ordinary_image_waits_for_no_slow_one(slow: Callable[[], bytes]) -> None:
    model = replica()
    image = Image.from_encoded(slow())
    ended: list[str] = []

    async def ask(name: str, image: Image) -> None:
        [outcome] = await model.predict([Request(image)])
        assert isinstance(outcome, Prediction)
        ended.append(name)

    slow_ones = [asyncio.ensure_future(ask("slow", image)) for _ in range(4)]
    # All four are on their way to a thread before the ordinary ones come.
    await asyncio.sleep(0)
    await asyncio.gather(*(ask("ordinary", Image.from_encoded(coloured("JPEG"))) for _ in range(3)))
    await asyncio.gather(*slow_ones)
    assert ended[-3:] == ["slow"] * 3, "at most one slow one was quicker than the ordinary ones"
    assert ended.count("ordinary") == 3
    await model.close()


async def test_an_ordinary_image_waits_for_no_slow_one_of_its_own_call() -> None:
    model = replica()
    # Small files travel through the threads together. One call into a decoder, which nothing can interrupt.
    slow, quick = jpeg_of_scans(20, components=4), coloured("JPEG")
    assert max(len(slow), len(quick)) < SMALL_IMAGE_BYTES
    outcomes = await model.predict([Request(Image.from_encoded(one), deadline_s=0.4) for one in (slow, quick)])
    assert isinstance(outcomes[1], Prediction), outcomes
    assert isinstance(outcomes[0], DeadlineExceeded)
    await model.close()


async def test_small_files_of_large_frames_in_one_call_never_wait_for_each_others_room() -> None:
    model = replica()
    tiling = Tiling(tile_height_px=256, tile_width_px=256)
    model.set_knobs(ModelKnobs(max_decoded_bytes=2_500_000, tiling=tiling))
    frames = [Request(Image.from_encoded(png_of_zeros(600, 600)), deadline_s=20) for _ in range(3)]
    other = asyncio.ensure_future(model.predict([Request(Image.from_encoded(png_of_zeros(104, 104)), deadline_s=20)]))
    outcomes = [*await model.predict(frames), *await other]
    assert all(isinstance(outcome, Prediction) for outcome in outcomes), outcomes
    assert model.decoded_bytes == 0
    await model.close()


def test_pixels_that_never_fit_are_refused_and_not_made() -> None:
    with pytest.raises(ImageTooLarge, match=f"the limit is {BYTES - 1}"):
        Decoding(max_held_bytes=BYTES - 1).pixels(received())


def test_the_header_of_a_small_file_decides_and_not_its_length() -> None:
    decoding = Decoding(max_held_bytes=10**6)
    with pytest.raises(ImageTooLarge, match="192000000 bytes of decoded pixels"):
        decoding.pixels(received(png_of_zeros(8000, 8000, depth=1)))


async def test_frames_that_are_cut_take_turns_within_the_bound_of_a_replica() -> None:
    model = replica(delay_ms=20)
    tiling = Tiling(tile_height_px=256, tile_width_px=256)
    # Each has 750,000 bytes of pixels, so that two do not fit.
    model.set_knobs(ModelKnobs(max_decoded_bytes=10**6))
    frame = Image.from_encoded(png_of_zeros(500, 500))
    requests = [Request(frame, Options(tiling=tiling)) for _ in range(3)]
    outcomes = await asyncio.gather(*(model.predict([one]) for one in requests))
    assert all(isinstance(outcome, Prediction) for [outcome] in outcomes), outcomes
    [too_large] = await model.predict([Request(Image.from_encoded(png_of_zeros(600, 600)))])
    assert isinstance(too_large, ImageTooLarge)
    await model.close()


async def test_a_frame_for_which_no_room_comes_free_in_time_is_answered_at_its_deadline() -> None:
    meter = Began()
    model = Replica("fixed", ModelDefinition(family="fixed-answer", parameters={"delay_ms": 400}), Resources(), meter)
    model.set_knobs(ModelKnobs(max_decoded_bytes=10**6, batch_limit=1))
    frame = Image.from_encoded(png_of_zeros(500, 500))
    tiling = Tiling(tile_height_px=256, tile_width_px=256)
    holder = asyncio.ensure_future(model.predict([Request(frame, Options(tiling=tiling))]))
    await meter.began.wait()
    assert model.decoded_bytes == 750_000
    [late] = await model.predict([Request(frame, deadline_s=0.1)])
    assert isinstance(late, DeadlineExceeded)
    await holder
    [in_time] = await model.predict([Request(frame)])
    assert isinstance(in_time, Prediction)
    assert model.decoded_bytes == 0
    await model.close()


async def test_a_request_ends_at_its_deadline_while_its_image_still_holds_a_thread() -> None:
    model = replica()
    # One call into the decoder of more than a second, which nothing can interrupt.
    slow = Image.from_encoded(jpeg_of_scans(20, components=4))
    started_s = time.monotonic()
    [late] = await model.predict([Request(slow, deadline_s=0.1)])
    assert isinstance(late, DeadlineExceeded)
    assert time.monotonic() - started_s < 1.0
    [other] = await model.predict([Request(Image.from_encoded(coloured("PNG")))])
    assert isinstance(other, Prediction)
    model.check_health()
    await model.close()


def test_a_thread_that_one_image_holds_for_too_long_makes_the_replica_unhealthy() -> None:
    watchdog = Watchdog()
    is_over = threading.Event()

    def decode() -> None:
        with watchdog.during("the decoding of an image", cpu_limit_s=0.05):
            while not is_over.is_set():
                pass

    with ThreadPoolExecutor(1) as threads:
        decoding = threads.submit(decode)
        try:
            with pytest.raises(
                RuntimeError, match=r"decoding of an image has used more than 0\.05 s of processor time"
            ):
                check_until(watchdog, time.monotonic() + 30)
        finally:
            is_over.set()
        decoding.result()


def check_until(watchdog: Watchdog, ends_s: float) -> None:
    while time.monotonic() < ends_s:
        watchdog.check()


def test_a_thread_that_only_waits_is_not_at_fault() -> None:
    watchdog = Watchdog()
    with watchdog.during("the decoding of an image", cpu_limit_s=0.05):
        threading.Event().wait(0.1)
        watchdog.check()


def test_a_decoder_is_stopped_after_its_seconds_and_after_the_deadline() -> None:
    image = Image.from_encoded(coloured("BMP") + bytes(2**20))
    with pytest.raises(ImageTooLarge, match="more than 0 s of CPU time"):
        to_pixels(image, ImageLimits(max_decode_cpu_s=0.0))
    with pytest.raises(DeadlineExceeded, match="before the image was decoded"):
        to_pixels(image, ends_at_s=time.monotonic())
    with pytest.raises(DeadlineExceeded, match="while the image was decoded"):
        MeteredFile(b"abc", 30.0, time.monotonic()).read(3)
    assert to_pixels(image, ends_at_s=time.monotonic() + 30).shape == COLOURS.shape


def test_a_thread_that_waited_may_go_on_decoding() -> None:
    file = MeteredFile(b"abc", 0.05, time.monotonic() + 30)
    threading.Event().wait(0.1)
    assert file.read(3) == b"abc"


@pytest.mark.parametrize("tiling", [None, Tiling(tile_height_px=1024, tile_width_px=1024)])
async def test_a_client_that_leaves_while_its_image_is_decoded_leaves_no_bytes_behind(tiling: Tiling | None) -> None:
    model = replica()
    slow = Image.from_encoded(jpeg_of_scans(20))
    asked = asyncio.ensure_future(model.predict([Request(slow, Options(tiling=tiling or "off"))]))
    await until(lambda: model.decoded_bytes > 0)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    # They are held for as long as the thread is at them.
    assert model.decoded_bytes == 192_000_000
    await until(lambda: model.decoded_bytes == 0)
    await model.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)
