"""The slope of memory: what it is for plain series, and which processes have one."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from benchmarks.soak.memory import LEAST_SAMPLES, MIB, MemoryWatch, own_bytes, slope_per_h

GROWS = """
import sys
print("started", flush=True)
kept = []
for line in sys.stdin:
    kept.append(b"x" * (1 << 20))
    print(".", flush=True)
"""
MAPS = """
import mmap, sys
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ)
sum(mapped[::4096])
print("mapped", flush=True)
sys.stdin.read()
"""


@contextmanager
def growing(title: str) -> Iterator[subprocess.Popen[str]]:
    """A process that takes a further MiB for each line that it is sent."""
    with talking(GROWS, title) as process:
        yield process


@contextmanager
def talking(program: str, argument: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has said that it has started."""
    command = [sys.executable, "-c", program, argument]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline()
            yield process
        finally:
            process.kill()


def grow(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline()


def test_a_slope_is_per_hour_and_does_not_follow_peaks() -> None:
    at_s = [10.0 * number for number in range(60)]
    line = [100 + at / 360 for at in at_s]
    assert slope_per_h(at_s, line) == pytest.approx(10)
    peaks = [mib + (500 if number % 7 == 0 else 0) for number, mib in enumerate(line)]
    assert slope_per_h(at_s, peaks) == pytest.approx(10, abs=1)
    assert slope_per_h(at_s, [3.0] * 60) == 0
    assert slope_per_h(at_s, line[::-1]) == pytest.approx(-10)


@pytest.mark.parametrize("at_s", [[], [1.0], [1.0, 1.0]])
def test_a_slope_needs_two_moments(at_s: list[float]) -> None:
    with pytest.raises(ValueError, match="two moments"):
        slope_per_h(at_s, [1.0] * len(at_s))


def test_a_process_that_takes_more_and_more_has_a_slope_after_its_warm_up() -> None:
    watch = MemoryWatch()
    with growing("ServeController") as leak, growing("valkey-server") as calm, growing("nobody") as other:
        processes = [psutil.Process(one.pid) for one in (calm, leak, other)]
        for number in range(LEAST_SAMPLES + 5):
            grow(leak)
            watch.sample(processes, 60.0 * number)
    controller, valkey = watch.trends(warm_s=300)
    assert (controller.role, controller.pid) == ("controller", leak.pid)
    assert controller.minutes == LEAST_SAMPLES + 4
    assert controller.last_mib - controller.first_mib == pytest.approx(LEAST_SAMPLES - 1, abs=1)
    assert controller.slope_mib_per_h == pytest.approx(60, rel=0.1)
    assert (valkey.role, valkey.slope_mib_per_h) == ("valkey", pytest.approx(0, abs=1))


def test_a_process_that_was_hardly_there_longer_than_its_warm_up_has_no_slope() -> None:
    watch = MemoryWatch()
    with growing("ServeController") as leak:
        for number in range(2 * LEAST_SAMPLES):
            grow(leak)
            watch.sample([psutil.Process(leak.pid)], 10.0 * number)
    assert [trend.slope_mib_per_h for trend in watch.trends(warm_s=100)] == [None]
    assert watch.trends(warm_s=90)[0].slope_mib_per_h == pytest.approx(360, rel=0.1)


def test_a_process_that_was_replaced_and_one_that_came_late_have_series_of_their_own() -> None:
    watch = MemoryWatch()
    with growing("ServeController") as first:
        process = psutil.Process(first.pid)
        for number in range(LEAST_SAMPLES):
            watch.sample([process], 60.0 * number)
    watch.sample([process], 1000.0)
    with growing("ServeController") as second:
        watch.sample([process, psutil.Process(second.pid)], 1060.0)
    slopes = {trend.pid: trend.slope_mib_per_h for trend in watch.trends(warm_s=0)}
    assert slopes == {first.pid: pytest.approx(0, abs=5), second.pid: None}


def test_a_file_that_somebody_else_no_longer_reads_is_not_growth(tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.write_bytes(bytes(32 * MIB))
    with talking(MAPS, str(library)) as stays:
        with talking(MAPS, str(library)):
            before_bytes = own_bytes(psutil.Process(stays.pid))
        after_bytes = own_bytes(psutil.Process(stays.pid))
    assert after_bytes - before_bytes < MIB
