"""A run as a page of markdown: the bars, then a table for each kind of figure, all medians over the rounds.

Pure: takes the JSON of a run, gives text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.load.tally import OK
from benchmarks.report.bars import Verdict, verdicts
from benchmarks.report.ratios import median
from benchmarks.report.summary import (
    BEST_HANDWRITTEN,
    NotMeasured,
    Row,
    Summary,
    latency_ms,
    rate,
    same_rounds_ratio,
    statuses,
)
from benchmarks.systems.table import OURS

MIB = 2**20

MAX_LAG_MS = 5.0
"""Above it, the generator's own lateness is a part of the latencies that it reports."""

MAX_CORES_OF_OTHERS = 0.2
"""Above it, somebody else's work has slowed the systems down."""


def page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    summary = Summary(document)
    blocks = [
        ["# Benchmark", "", _about(document)],
        ["## Bars", "", *bar_table(verdicts(summary))],
        ["## Over HTTP", "", *_http_table(summary)],
        ["## CPU milliseconds a request, by process", "", *_cpu_table(summary)],
        ["## The limit: our code in process", "", *_limit_table(document["limits"])],
        ["## Over Redis", "", *_redis_table(summary)],
        ["## Start", "", *_start_table(summary)],
        ["## Problems", "", *([f"- {one.splitlines()[0]}" for one in document["problems"]] or ["None."])],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def bar_table(found: Sequence[Verdict]) -> Iterator[str]:
    """One row for each bar."""
    words = {True: "PASS", False: "FAIL", None: "-"}
    rows = [(words[one.is_met], one.name, one.value, one.bar) for one in found]
    return _table(("", "what", "value", "bar"), rows)


def _about(document: Mapping[str, Any]) -> str:
    about = document["about"]
    lines = [f"- {name}: {value}" for name, value in about.items()]
    busiest = max((row["cores_of_others"] for row in document["samples"]), default=0.0)
    lines.append(f"- cores that somebody else kept busy, at worst: {busiest:.2f}")
    if busiest > MAX_CORES_OF_OTHERS:
        lines.append("- **The machine was not idle: the figures are not to be believed.**")
    lags_ms = [row["figures"]["lag_p99_ms"] or 0.0 for row in document["samples"]]
    if max(lags_ms, default=0.0) > MAX_LAG_MS:
        lines.append(f"- **The generator itself was late by up to {max(lags_ms):.0f} ms (p99) in an open loop.**")
    if about.get("quick"):
        lines.append("- **A quick run: it shows that everything works, its figures are not to be believed.**")
    return "\n".join(lines)


def _http_table(summary: Summary) -> Iterator[str]:
    head = ("case", "system", "req/s", "against hand-written", "p50 ms", "p95 ms", "p99 ms", "batch", "peak MiB")
    rows = []
    for case in summary.cases():
        for system in summary.systems(case):
            samples = summary.samples(system, case)
            figures = [_cell(summary, system, case, pick) for pick in map(latency_ms, ("p50", "p95", "p99"))]
            batch = _cell(summary, system, case, lambda row: row["mean_batch"])
            peak = _cell(summary, system, case, lambda row: row["peak_bytes"] / MIB)
            speed = _cell(summary, system, case, rate)
            versus = _against_handwritten(summary, system, case)
            rows.append((case, system, speed, versus, *figures, batch, peak, _others(samples)))
    return _table((*head, "not 200"), rows)


def _against_handwritten(summary: Summary, system: str, case: str) -> str:
    try:
        below = summary.values(BEST_HANDWRITTEN, case, rate)
        found = same_rounds_ratio(summary.values(system, case, rate), below)
    except (NotMeasured, ValueError):
        return ""
    interval = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return f"{found.median:.2f}{interval}"


def _cpu_table(summary: Summary) -> Iterator[str]:
    rows = []
    for case in summary.cases():
        for system in summary.systems(case):
            samples = summary.samples(system, case)
            roles = sorted({role for row in samples for role in row["cpu_ms"]})
            spent = {role: median([row["cpu_ms"].get(role, 0.0) for row in samples]) for role in roles}
            parts = sorted(spent.items(), key=lambda item: -item[1])
            shares = ", ".join(f"{role} {value:.2f}" for role, value in parts if value >= 0.005)
            generator = median([row["figures"]["generator_cpu_ms"] for row in samples])
            rows.append((case, system, f"{sum(spent.values()):.2f}", shares, f"{generator:.3f}"))
    return _table(("case", "system", "sum", "of it", "load generator"), rows)


def _limit_table(limits: Sequence[Row]) -> Iterator[str]:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in limits:
        key = (row["model"], row["picture"], row["processes"], row["threads"], row["batch"])
        groups.setdefault(key, []).append(row)
    rows = [
        (
            *key,
            _number(median([row["images_per_s"] for row in group])),
            _number(median([row["p50_ms"] for row in group])),
        )
        for key, group in groups.items()
    ]
    return _table(("model", "image", "processes", "threads", "batch", "images/s", "p50 of a batch, ms"), rows)


def _redis_table(summary: Summary) -> Iterator[str]:
    groups: dict[tuple[str, bool, str], list[Row]] = {}
    for row in summary.document["redis"]:
        groups.setdefault((row["picture"], row["persistent"], row["system"]), []).append(row)
    rows = []
    for (image, is_persistent, system), group in sorted(groups.items()):
        figures = [_number(median([row[name] for row in group])) for name in ("jobs_per_s", "p50_ms", "p95_ms")]
        roles = sorted({role for row in group for role in row["cpu_ms"]})
        spent = {role: median([row["cpu_ms"].get(role, 0.0) for row in group]) for role in roles}
        shares = ", ".join(f"{role} {value:.2f}" for role, value in spent.items() if value >= 0.005)
        rows.append((image, "append-only" if is_persistent else "memory only", system, *figures, shares))
    return _table(("image", "Valkey", "consumer", "jobs/s", "push to answer p50 ms", "p95 ms", "CPU ms a job"), rows)


def _start_table(summary: Summary) -> Iterator[str]:
    rows = []
    for system in ("plain", OURS):
        try:
            series = summary.start_values(system)
        except NotMeasured:
            continue
        rows.append((system, _number(median(list(series.values()))), len(series)))
    return _table(("system", "seconds until ready", "rounds"), rows)


def _cell(summary: Summary, system: str, case: str, pick: Any) -> str:
    try:
        return _number(median(list(summary.values(system, case, pick).values())))
    except NotMeasured:
        return ""


def _others(samples: Sequence[Row]) -> str:
    counts = statuses(samples)
    return ", ".join(f"{status}: {count}" for status, count in sorted(counts.items()) if status != OK)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(f"{cell}" for cell in row) + " |"
