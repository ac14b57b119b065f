"""The bars of the benchmark, each evaluated on a run: value, bar, and whether it is met. Knows no load."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.load.tally import OK
from benchmarks.redis_door import BRIDGE, FLOOR, WORKER
from benchmarks.report.queueing import bare_p99_s
from benchmarks.report.ratios import Ratio, median
from benchmarks.report.summary import (
    BEST_HANDWRITTEN,
    NotMeasured,
    Row,
    Series,
    Summary,
    latency_ms,
    middle,
    rate,
    same_rounds_ratio,
    statuses,
)
from benchmarks.sample_images import HD, SMALL
from benchmarks.systems.table import FAST, OURS, PLAIN

MEMORY_GROWTH_BYTES = 768 * 2**20
"""What overload may add to the peak at 80 % load: the door's budget for uploads, and half as much again."""

EARLY_REFUSAL_SHARE = 0.5
"""A refusal is early when its median comes in less than this share of an answer's median under the same load."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """is_met: None when the run did not measure it."""

    name: str
    value: str
    bar: str
    is_met: bool | None


def verdicts(summary: Summary) -> list[Verdict]:
    """Every bar, in the order of the report."""
    return [_evaluated(name, bar, evaluate, summary) for name, bar, evaluate in _BARS]


def _evaluated(name: str, bar: str, evaluate: "Evaluate", summary: Summary) -> Verdict:
    try:
        value, is_met = evaluate(summary)
    except NotMeasured as error:
        return Verdict(name, f"not measured: {error}", bar, None)
    return Verdict(name, value, bar, is_met)


Evaluate = Callable[[Summary], tuple[str, bool]]


def _m1_handwritten(summary: Summary) -> tuple[str, bool]:
    case = f"m1-{HD}-c32"
    found = same_rounds_ratio(_rates(summary, OURS, case), _rates(summary, BEST_HANDWRITTEN, case))
    return _shown(found), (found.median if found.high is None else found.high) >= 1.0


def _m1_limit(summary: Summary) -> tuple[str, bool]:
    found = same_rounds_ratio(_rates(summary, OURS, f"m1-{HD}-c32"), summary.limit_rates(f"m1-{HD}"))
    return _shown(found), found.median >= 0.80


def _m1_latency(summary: Summary) -> tuple[str, bool]:
    ours_ms = middle(summary.values(OURS, f"m1-{HD}-c1", latency_ms("p50")))
    alone_ms = middle(summary.in_process_ms(f"m1-{HD}"))
    return f"{ours_ms:.1f} - {alone_ms:.1f} = {ours_ms - alone_ms:.1f} ms", ours_ms - alone_ms <= 10.0


def _m0_plain(summary: Summary) -> tuple[str, bool]:
    case = f"m0-{SMALL}-c32"
    found = same_rounds_ratio(_rates(summary, OURS, case), _rates(summary, PLAIN, case))
    return _shown(found), found.median >= 5.0


def _m0_handwritten(summary: Summary) -> tuple[str, bool]:
    case = f"m0-{SMALL}-c32"
    name = FAST if FAST in summary.systems(case) else OURS
    found = same_rounds_ratio(_rates(summary, name, case), _rates(summary, BEST_HANDWRITTEN, case))
    return f"{_shown(found)} ({name})", found.median >= 0.6


def _redis_ratio(image: str, is_persistent: bool, below: str, least: float) -> Evaluate:
    def evaluate(summary: Summary) -> tuple[str, bool]:
        rates = [summary.redis_values(name, image, is_persistent, "jobs_per_s") for name in (BRIDGE, below)]
        found = same_rounds_ratio(*rates)
        return _shown(found), found.median >= least

    return evaluate


def _redis_latency(is_persistent: bool) -> Evaluate:
    def evaluate(summary: Summary) -> tuple[str, bool]:
        ours_ms, floor_ms = (
            middle(summary.redis_values(name, HD, is_persistent, "p50_ms")) for name in (BRIDGE, FLOOR)
        )
        return f"{ours_ms:.1f} - {floor_ms:.1f} = {ours_ms - floor_ms:.1f} ms", ours_ms - floor_ms <= 30.0

    return evaluate


def _tail_at_80(summary: Summary) -> tuple[str, bool]:
    p99_ms = middle(summary.values(OURS, f"m1-{HD}-o80", latency_ms("p99")))
    alone_ms = middle(summary.in_process_ms(f"m1-{HD}"))
    found = f"{p99_ms:.0f} / {alone_ms:.1f} ms = {p99_ms / alone_ms:.1f}"
    bare_ms = 1000 * bare_p99_s(middle(_rates(summary, OURS, f"m1-{HD}-c32")), 0.8)
    return f"{found}; waiting in line alone, at our capacity: {bare_ms:.0f} ms", p99_ms < 6 * alone_ms


def _errors_at_80(summary: Summary) -> tuple[str, bool]:
    counts = statuses(summary.samples(OURS, f"m1-{HD}-o80"))
    errors = counts.total() - counts[OK]
    return f"{errors} of {counts.total()}", errors == 0


def _refusals_at_150(summary: Summary) -> tuple[str, bool]:
    rows = summary.samples(OURS, f"m1-{HD}-o150")
    counts = statuses(rows)
    refused = counts["429"] + counts["503"]
    others = counts.total() - counts[OK] - refused
    found = f"{refused} refused, {others} failed otherwise, of {counts.total()}"
    spans_ms = [
        (row["figures"]["refusal_latency"]["p50_ms"], row["figures"]["latency"]["p50_ms"])
        for row in rows
        if row["figures"]["refusal_latency"]["p50_ms"] is not None and row["figures"]["latency"]["p50_ms"] is not None
    ]
    if not spans_ms:
        return found, False
    refusal_ms, answer_ms = (median([pair[index] for pair in spans_ms]) for index in (0, 1))
    found += f"; refusals p50 {refusal_ms:.0f} ms, answers p50 {answer_ms:.0f} ms"
    return found, refused > 0 and others == 0 and refusal_ms <= EARLY_REFUSAL_SHARE * answer_ms


def _throughput_at_150(summary: Summary) -> tuple[str, bool]:
    stem = f"m1-{HD}"
    found = same_rounds_ratio(_rates(summary, OURS, f"{stem}-o150"), _rates(summary, OURS, f"{stem}-c32"))
    return _shown(found), found.median >= 0.85


def _memory_at_150(summary: Summary) -> tuple[str, bool]:
    def peak(row: Row) -> float:
        return float(row["peak_bytes"])

    calm, pressed = (max(summary.values(OURS, f"m1-{HD}-o{share}", peak).values()) for share in (80, 150))
    grown = pressed - calm
    return f"{pressed / 2**20:.0f} MiB, {grown / 2**20:+.0f} MiB against 80 %", grown <= MEMORY_GROWTH_BYTES


def _batch_at_80(summary: Summary) -> tuple[str, bool]:
    found = middle(summary.values(OURS, f"m50-{HD}-o80", lambda row: row["mean_batch"]))
    return f"{found:.2f} images", found > 3.0


def _start(summary: Summary) -> tuple[str, bool]:
    found = same_rounds_ratio(summary.start_values(OURS), summary.start_values("plain"))
    seconds = middle(summary.start_values(OURS))
    return f"{seconds:.1f} s, {_shown(found)} of bare Ray Serve", found.median <= 1.3


def _rates(summary: Summary, system: str, case: str) -> Series:
    return summary.values(system, case, rate)


def _shown(found: Ratio) -> str:
    interval = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.median:.2f}{interval} in {found.rounds} rounds"


def _redis_bars() -> Sequence[tuple[str, str, Evaluate]]:
    bars: list[tuple[str, str, Evaluate]] = []
    for is_persistent, kind in ((False, "memory only"), (True, "append-only file")):
        for image, least in ((SMALL, 1.5), (HD, 3.0)):
            name = f"Redis door, M0, {image} float32, {kind}"
            legacy = _redis_ratio(image, is_persistent, WORKER, least)
            bars.append((f"{name}: drain over the legacy worker", f">= {least}", legacy))
            floor = _redis_ratio(image, is_persistent, FLOOR, 0.7)
            bars.append((f"{name}: drain over the floor", ">= 0.7", floor))
        latency = f"Redis door, M0, {HD} float32, {kind}: push to answer minus floor"
        bars.append((latency, "<= 30 ms", _redis_latency(is_persistent)))
    return bars


_BARS: Sequence[tuple[str, str, Evaluate]] = (
    ("M1, 720p, c32: ours over hand-written", "interval reaches 1.0", _m1_handwritten),
    ("M1, 720p, c32: ours over the limit", ">= 0.80 (aim 0.90)", _m1_limit),
    ("M1, 720p, c1: p50 minus in process", "<= 10 ms (aim 5)", _m1_latency),
    ("M0, 64x64, c32: ours over plain Ray Serve", ">= 5", _m0_plain),
    ("M0, 64x64, c32: fastest endpoint over hand-written", ">= 0.6 (aim 1.0)", _m0_handwritten),
    *_redis_bars(),
    ("M1, open loop at 80 %: p99 over in process", "< 6", _tail_at_80),
    ("M1, open loop at 80 %: errors", "0", _errors_at_80),
    ("M1, open loop at 150 %: the excess is refused early", "429 or 503 only, fast", _refusals_at_150),
    ("M1, open loop at 150 %: throughput over capacity", ">= 0.85", _throughput_at_150),
    ("M1, open loop at 150 %: memory", f"<= {MEMORY_GROWTH_BYTES // 2**20} MiB more", _memory_at_150),
    ("50 ms model, open loop at 80 %: mean batch", "> 3", _batch_at_80),
    ("start to ready, demo model", "<= 1.3 of bare Ray Serve", _start),
)
