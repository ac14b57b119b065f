"""The cost of a wake is read from what a replica logs."""

from benchmarks.wake import parts_in, row
from deployments.process.wake_times import WakeTimes

LINE = "INFO 2026-11-28 replica 1 -- model demo is loaded: "


def test_the_parts_are_those_that_the_last_start_has_logged() -> None:
    times = WakeTimes()
    times.parts_s = {"fetch": 0.0, "weights": 0.5, "import": 3.25, "graph": 1.0, "first batches": 2.0}
    log = f"{LINE}graph 9.00 s\n{LINE}{times}\nmodel other is loaded: graph 7.00 s\n"
    assert parts_in(log, "demo") == times.parts_s
    assert parts_in(log, "dem") is None
    assert row("demo", 10.0, times.parts_s) == "| demo | 10.0 | 3.2 | 0.0 | 0.5 | 3.2 | 1.0 | 2.0 |"
