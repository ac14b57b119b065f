"""Odd, damaged and hostile files through both doors of the running system, beside a good client: each gets a right
answer or a clear refusal, the good client hardly waits, and memory stays within its bound.
"""

import base64
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import psutil
import pytest

from deployments.errors import ImageTooLarge, InvalidImage, ServingError
from serve_app.http.problems import STATUS
from tests.support.fixtures import fixture_file
from tests.support.odd_images import ODD_IMAGES, OddImage, saved
from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, RunningSystem

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

FRAME = (SAMPLES / "seafloor-1.png").read_bytes()
QUEUE = "image_queue_yolov5"
LONGEST_WAIT_S = 1.0
"""Of the good client, on a machine with nothing else to do."""

MOST_MEMORY_BYTES = 1536 * 2**20
"""More than before, over both doors and the model: `max_decoded_bytes` of the model and what is on its way to it."""

LARGEST_JOB_BYTES = 8 * 2**20
ANSWER_S = 40.0
REFUSED_WITHIN_S = 5.0


def by_http(system: RunningSystem, content: bytes) -> httpx.Response:
    return system.http.post("/predictor/", files={"file": content}, timeout=ANSWER_S)


def by_redis(system: RunningSystem, content: bytes) -> Any:
    job_id = f"odd-{time.monotonic_ns()}"
    job = {"id": job_id, "image": base64.b64encode(content).decode()}
    system.redis.rpush(QUEUE, json.dumps(job))
    text = wait_for(lambda: system.redis.get(job_id), ANSWER_S, "the answer of an odd job")
    system.redis.delete(job_id)
    return json.loads(text)


class GoodClient:
    """Asks with an ordinary frame, again and again, and remembers how long it waited, and beside which file."""

    def __init__(self, system: RunningSystem) -> None:
        self.beside = ""
        self.waits: list[tuple[float, str]] = []
        self.failures: list[str] = []
        self._url = str(system.http.base_url)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> "GoodClient":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over.set()
        self._thread.join(60)

    def _ask(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as http:
            while not self._is_over.wait(0.05):
                beside, started_s = self.beside, time.monotonic()
                answer = http.post("/predictor/", files={"file": FRAME})
                self.waits.append((time.monotonic() - started_s, beside))
                if answer.status_code != 200:
                    self.failures.append(answer.text)


class Memory:
    """The peak of what doors and model hold. Shared pages count in parts, as they are one system's."""

    def __init__(self, system: RunningSystem) -> None:
        replicas = system.replicas()
        self._processes = [
            psutil.Process(replica["pid"]) for name in ("api", "bridge", "benthic-demo") for replica in replicas[name]
        ]
        self.before_bytes = self.peak_bytes = self._now()

    @contextmanager
    def watched(self) -> Iterator["Memory"]:
        """Looks several times a second."""
        is_over = threading.Event()

        def look() -> None:
            while not is_over.wait(0.2):
                self.peak_bytes = max(self.peak_bytes, self._now())

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield self
        finally:
            is_over.set()
            thread.join(60)

    def _now(self) -> int:
        return sum(process.memory_full_info().pss for process in self._processes)


def wrong_by_http(system: RunningSystem, name: str, content: bytes, error: type[ServingError] | None) -> str:
    """What is wrong with the answer; '' when nothing is."""
    started_s = time.monotonic()
    answer = by_http(system, content)
    took_s = time.monotonic() - started_s
    body = answer.json()
    if error is None:
        return "" if answer.status_code == 200 and isinstance(body["predictions"], list) else f"{name}: {answer.text}"
    is_refused = answer.status_code == STATUS[error] and body["code"] == error.code and body["predictions"] is None
    if not is_refused or "Traceback" in body["detail"]:
        return f"{name}: {answer.status_code} {answer.text}"
    return "" if took_s < REFUSED_WITHIN_S else f"{name}: refused after {took_s:.1f} s"


def wrong_by_redis(system: RunningSystem, name: str, content: bytes, error: type[ServingError] | None) -> str:
    """What is wrong with the answer; '' when nothing is."""
    answer = by_redis(system, content)
    if isinstance(answer, list):
        return "" if error is None else f"{name}: answered {answer}"
    # A file that does not begin like one that this door reads is taken for pixels without a size.
    known = {"invalid-image", "image-too-large", "invalid-request"}
    is_read_here = error is None and not content.startswith((b"P", b"II+", b"MM\0+"))
    is_clear = answer["error"]["code"] in known and "Traceback" not in answer["error"]["message"]
    return f"{name}: {answer}" if is_read_here or not is_clear else ""


FAULTS: dict[str, type[ServingError] | None] = {
    "scans-1000.jpg": ImageTooLarge,
    "scans-10000.jpg": ImageTooLarge,
    "exif-segments.jpg": InvalidImage,
    "comments.ppm": InvalidImage,
    "grey16.png": None,
    "grey16.tif": None,
    "float.tif": InvalidImage,
    "turned.tif": None,
    "long-text.png": None,
    "one-bit.png": None,
}
"""A collection of faults that is not in the repository: file -> its right answer."""


def shipped_files(folder: Path) -> list[OddImage]:
    maker = fixture_file("faults/make.py")
    subprocess.run([sys.executable, str(maker), str(folder)], check=True, capture_output=True)
    return [OddImage(name, (folder / name).read_bytes, error) for name, error in FAULTS.items()]


def test_no_file_hurts_another_client(system: RunningSystem, tmp_path: Path) -> None:
    odd_images = [*ODD_IMAGES, *shipped_files(tmp_path / "faults")]
    # Made beforehand: a client in this process would wait for the interpreter while one is made.
    files = [(odd, tmp_path / odd.name) for odd in odd_images]
    for odd, path in files:
        path.write_bytes(odd.make())
    wrong: list[str] = []
    with Memory(system).watched() as memory, GoodClient(system) as good, ThreadPoolExecutor(2) as senders:
        for odd, path in files:
            good.beside, content = odd.name, path.read_bytes()
            asked = [senders.submit(wrong_by_http, system, odd.name, content, odd.error)]
            if len(content) <= LARGEST_JOB_BYTES:
                asked.append(senders.submit(wrong_by_redis, system, odd.name, content, odd.error))
            wrong += [said for one in asked if (said := one.result())]
    grown_bytes = memory.peak_bytes - memory.before_bytes
    assert not wrong, "\n".join(wrong)
    assert not good.failures
    assert len(good.waits) > len(odd_images)
    longest = sorted(good.waits, reverse=True)[:12]
    assert longest[0][0] < LONGEST_WAIT_S, longest
    assert grown_bytes < MOST_MEMORY_BYTES
    assert all(psutil.pid_exists(replica["pid"]) for name in ("api", "bridge") for replica in system.replicas()[name])


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bits_of_grey_are_seen_like_eight(system: RunningSystem, kind: str) -> None:
    grey = np.asarray(PIL.Image.open(SAMPLES / "seafloor-1.png").convert("L"))
    twin = by_http(system, saved(PIL.Image.fromarray(grey), "PNG")).json()["predictions"]
    deep = saved(PIL.Image.fromarray(grey.astype(np.uint16) * 257), kind)
    assert twin, "the frame shows animals in grey, too"
    assert by_http(system, deep).json()["predictions"] == twin
