"""What the bench makes of its measurements: ratios, medians, bars and the page, on rows made up for the purpose."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.load.tally import Latency, LoadFigures, Tally
from benchmarks.report.bars import Verdict, verdicts
from benchmarks.report.charts import draw
from benchmarks.report.ratios import median, ratio
from benchmarks.report.report import page
from benchmarks.report.summary import BEST_HANDWRITTEN, NotMeasured, Summary, rate, same_rounds_ratio

ROUNDS = range(5)


def sample(system: str, case: str, number: int, **figures: Any) -> dict[str, Any]:
    """One row of results as a run writes it."""
    latency = figures.get("latency", (20.0, 30.0, 40.0))
    refusal = figures.get("refusal")
    return {
        "round": number,
        "system": system,
        "case": case,
        "figures": {
            "requests_per_s": figures.get("rate", 60.0),
            "offered_per_s": None,
            "statuses": figures.get("statuses", {"200": 100}),
            "latency": dict(zip(("p50_ms", "p95_ms", "p99_ms"), latency, strict=True)),
            "refusal_latency": {"p50_ms": refusal, "p95_ms": refusal, "p99_ms": refusal},
            "lag_p99_ms": None,
            "generator_cpu_ms": 0.05,
        },
        "cpu_ms": {"model": 20.0, "proxy": figures.get("proxy_ms", 1.0)},
        "cores_of_others": 0.0,
        "peak_bytes": figures.get("peak_bytes", 10**9),
        "mean_batch": figures.get("batch"),
    }


def good_run() -> dict[str, Any]:
    """A run that meets every bar."""
    samples = []
    for number in ROUNDS:
        for system, small, hd in (
            ("ours", 900.0, 62.0),
            ("handwritten-1", 700.0, 40.0),
            ("handwritten-2", 1000.0, 61.0),
            ("plain-serve", 100.0, 27.0),
        ):
            samples.append(sample(system, "m0-64px-c32", number, rate=small + number))
            samples.append(sample(system, "m1-720p-c32", number, rate=hd + number / 10))
        samples += [
            sample("ours", "m1-720p-c1", number, latency=(29.0, 31.0, 35.0)),
            sample("ours", "m1-720p-o80", number, latency=(40.0, 90.0, 130.0)),
            sample(
                "ours",
                "m1-720p-o150",
                number,
                statuses={"200": 480, "503": 200},
                refusal=6.0,
                latency=(700, 800, 900),
            ),
            sample("ours", "m50-720p-o80", number, batch=3.4),
        ]
    limits = [
        {"round": number, "model": "m1", "picture": "720p", "processes": processes, "threads": 1, "batch": 1,
         "images_per_s": 35.0 * processes, "p50_ms": 25.0}
        for number in ROUNDS
        for processes in (1, 2)
    ]  # fmt: skip
    redis = [
        {"round": number, "system": system, "picture": picture, "persistent": persistent, "jobs_per_s": speed,
         "p50_ms": p50_ms, "p95_ms": p50_ms, "cpu_ms": {"worker": 1.0}}
        for number in ROUNDS
        for picture in ("64px", "720p")
        for persistent in (False, True)
        for system, speed, p50_ms in (("floor", 100.0, 20.0), ("legacy", 20.0, 90.0), ("ours", 80.0, 45.0))
    ]  # fmt: skip
    starts = [
        {"round": number, "system": system, "seconds": seconds}
        for number in ROUNDS
        for system, seconds in (("plain", 10.0), ("ours", 12.0))
    ]
    about = {"quick": False, "rounds": 5}
    return {"about": about, "samples": samples, "limits": limits, "redis": redis, "starts": starts, "problems": []}


def verdict(document: dict[str, Any], words: str) -> Verdict:
    """The one bar whose name has `words`."""
    [found] = [one for one in verdicts(Summary(document)) if words in one.name]
    return found


def test_a_run_that_meets_every_bar_passes_them_all() -> None:
    found = verdicts(Summary(good_run()))
    assert len(found) == 22
    assert [one.name for one in found if one.is_met is not True] == []


def rows_of(document: dict[str, Any], system: str, case: str) -> list[dict[str, Any]]:
    """Rows to be changed in place."""
    found = [row for row in document["samples"] if (row["system"], row["case"]) == (system, case)]
    assert found
    return found


@pytest.mark.parametrize(
    ("case", "change", "bar"),
    [
        ("m1-720p-c32", {"requests_per_s": 58.0}, "ours over hand-written"),
        ("m1-720p-c32", {"requests_per_s": 55.0}, "ours over the limit"),
        ("m1-720p-c1", {"latency": {"p50_ms": 35.5, "p95_ms": 40.0, "p99_ms": 41.0}}, "p50 minus in process"),
        ("m0-64px-c32", {"requests_per_s": 499.0}, "over plain Ray Serve"),
        ("m0-64px-c32", {"requests_per_s": 590.0}, "fastest endpoint over hand-written"),
        ("m1-720p-o80", {"latency": {"p50_ms": 40.0, "p95_ms": 90.0, "p99_ms": 151.0}}, "p99 over in process"),
        ("m1-720p-o80", {"statuses": {"200": 99, "503": 1}}, "80 %: errors"),
        ("m1-720p-o80", {"statuses": {"200": 99, "timeout": 1}}, "80 %: errors"),
        ("m1-720p-o150", {"statuses": {"200": 99}}, "refused early"),
        ("m1-720p-o150", {"statuses": {"200": 99, "503": 40, "504": 1}}, "refused early"),
        ("m1-720p-o150", {"refusal_latency": {"p50_ms": 600.0, "p95_ms": 1.0, "p99_ms": 1.0}}, "refused early"),
        ("m1-720p-o150", {"requests_per_s": 50.0}, "throughput over capacity"),
    ],
)
def test_each_figure_of_http_can_miss_its_bar(case: str, change: dict[str, Any], bar: str) -> None:
    document = good_run()
    assert verdict(document, bar).is_met is True
    for row in rows_of(document, "ours", case):
        row["figures"].update(change)
    assert verdict(document, bar).is_met is False


def test_memory_batch_and_start_can_miss_their_bars() -> None:
    document = good_run()
    rows_of(document, "ours", "m1-720p-o150")[0]["peak_bytes"] = 10**9 + 769 * 2**20
    for row in rows_of(document, "ours", "m50-720p-o80"):
        row["mean_batch"] = 3.0
    for start in document["starts"]:
        start["seconds"] = 10.0 if start["system"] == "plain" else 13.1
    for bar in ("150 %: memory", "mean batch", "start to ready"):
        assert verdict(document, bar).is_met is False


@pytest.mark.parametrize(
    ("figure", "value", "words"),
    [
        ("jobs_per_s", 29.0, "64px float32, memory only: drain over the legacy"),
        ("jobs_per_s", 59.0, "720p float32, memory only: drain over the legacy"),
        ("jobs_per_s", 69.0, "720p float32, memory only: drain over the floor"),
        ("p50_ms", 50.5, "720p float32, memory only: push to answer"),
    ],
)
def test_each_figure_of_redis_can_miss_its_bar(figure: str, value: float, words: str) -> None:
    document = good_run()
    assert verdict(document, words).is_met is True
    for row in document["redis"]:
        if row["system"] == "ours" and not row["persistent"]:
            row[figure] = value
    assert verdict(document, words).is_met is False
    assert verdict(document, words.replace("memory only", "append-only file")).is_met is True


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    empty = {"about": {}, "samples": [], "limits": [], "redis": [], "starts": [], "problems": []}
    assert {one.is_met for one in verdicts(Summary(empty))} == {None}
    assert "not measured" in verdicts(Summary(empty))[0].value
    assert page(empty)


def test_the_better_variant_is_chosen_case_by_case() -> None:
    document = good_run()
    for row in rows_of(document, "handwritten-1", "m1-720p-c32"):
        row["figures"]["requests_per_s"] = 70.0
    summary = Summary(document)
    assert summary.best_handwritten("m1-720p-c32") == "handwritten-1"
    assert summary.best_handwritten("m0-64px-c32") == "handwritten-2"
    assert set(summary.values(BEST_HANDWRITTEN, "m1-720p-c32", rate).values()) == {70.0}


def test_rounds_are_compared_with_themselves() -> None:
    # The machine slows down from round to round: within each round ours is twice as fast.
    assert same_rounds_ratio({0: 80.0, 1: 40.0, 2: 20.0}, {0: 40.0, 1: 20.0, 2: 10.0}).median == 2.0
    # A round that failed for one side is left out, not shifted.
    assert same_rounds_ratio({0: 80.0, 2: 20.0}, {0: 40.0, 1: 20.0, 2: 10.0}).rounds == 2
    with pytest.raises(NotMeasured):
        same_rounds_ratio({0: 1.0}, {1: 1.0})


def test_the_interval_holds_the_ratio_and_widens_with_the_spread() -> None:
    steady = ratio([100, 101, 99, 100, 102], [50, 50, 50, 50, 50])
    shaky = ratio([100, 140, 60, 100, 120], [50, 50, 50, 50, 50])
    assert steady.low is not None
    assert steady.high is not None
    assert shaky.low is not None
    assert shaky.high is not None
    assert steady.low <= steady.median == 2.0 <= steady.high
    assert shaky.high - shaky.low > 4 * (steady.high - steady.low)


def test_two_rounds_have_no_interval() -> None:
    assert ratio([2.0, 4.0], [1.0, 1.0]).low is None


def test_no_ratio_without_numbers() -> None:
    with pytest.raises(ValueError, match="same rounds"):
        ratio([1.0], [])
    with pytest.raises(ValueError, match="zero"):
        ratio([1.0], [0.0])
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_percentiles_are_in_milliseconds() -> None:
    found = Latency.of([number / 1000 for number in range(1, 102)])
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == pytest.approx((51.0, 96.0, 100.0))
    assert Latency.of([]) == Latency(None, None, None)


def test_throughput_counts_answers_and_the_offer_counts_arrivals() -> None:
    tally = Tally()
    for status, latency_s in (("200", 0.01), ("200", 0.02), ("503", 0.001), ("timeout", 30.0)):
        tally.count(status, latency_s)
    tally.ok_in_window, tally.requests_total, tally.own_cpu_s = 2, 4, 0.002
    figures = LoadFigures.of(tally, 2.0, is_open=True)
    assert figures.requests_per_s == 1.0
    assert figures.offered_per_s == 2.0
    assert figures.latency.p50_ms == pytest.approx(15.0)
    assert figures.refusal_latency.p50_ms == pytest.approx(1.0)
    assert figures.generator_cpu_ms == pytest.approx(0.5)


def test_the_page_says_what_it_found() -> None:
    document = good_run()
    document["problems"] = ["legacy with m0: it ended\nand a long log"]
    text = page(document)
    assert "| PASS | M1, 720p, c32: ours over the limit |" in text
    assert "| m0-64px-c32 | ours | 902.0 | 0.90 [" in text
    assert "model 20.00, proxy 1.00" in text
    assert "- legacy with m0: it ended\n" in text
    assert "not to be believed" not in text


@pytest.mark.parametrize("spoiler", ["quick", "others"])
def test_the_page_warns_of_figures_that_mean_nothing(spoiler: str) -> None:
    document = good_run()
    if spoiler == "quick":
        document["about"]["quick"] = True
    else:
        document["samples"][3]["cores_of_others"] = 0.5
    assert "not to be believed" in page(document)


def test_charts_are_drawn_of_what_was_measured(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    files = draw(good_run(), tmp_path)
    assert {file.name for file in files} >= {"rates.png", "rates.svg", "cpu.png", "open-loop.svg"}
    assert all(file.stat().st_size > 1000 for file in files)
    assert draw({**good_run(), "samples": []}, tmp_path) == []
