"""A run as charts: rates by system, latency against offered load, CPU by process. Needs matplotlib.

Pure but for the files that it writes.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.report.ratios import median
from benchmarks.report.summary import NotMeasured, Summary, latency_ms, middle, rate
from benchmarks.sample_images import HD, SMALL
from benchmarks.systems.table import OURS

RATE_CASES = (f"m0-{SMALL}-c32", f"m1-{HD}-c1", f"m1-{HD}-c32")
SHARES = (30, 60, 80, 150)


def draw(document: Mapping[str, Any], folder: Path) -> list[Path]:
    """Writes the charts as PNG and SVG, those for which there are figures; answers the files."""
    import matplotlib

    matplotlib.use("Agg")
    summary = Summary(document)
    files: list[Path] = []
    for name, drawn in (("rates", _rates), ("cpu", _cpu), ("open-loop", _open_loop)):
        figure = drawn(summary)
        if figure is None:
            continue
        for kind in ("png", "svg"):
            files.append(folder / f"{name}.{kind}")
            figure.savefig(files[-1], bbox_inches="tight", dpi=120)
    return files


def _rates(summary: Summary) -> Any:
    from matplotlib.figure import Figure

    cases = [case for case in RATE_CASES if case in summary.cases()]
    if not cases:
        return None
    figure = Figure(figsize=(5 * len(cases), 3.2), layout="constrained")
    for axes, case in zip(figure.subplots(1, len(cases), squeeze=False)[0], cases, strict=True):
        bars = {system: middle(summary.values(system, case, rate)) for system in summary.systems(case)}
        if case.endswith("-c32"):
            with contextlib.suppress(NotMeasured):
                bars["limit"] = middle(summary.limit_rates(case.rpartition("-")[0]))
        drawn = axes.barh(list(bars), list(bars.values()), color="#2b7a9b")
        axes.bar_label(drawn, fmt="%.0f", padding=3)
        axes.set(title=case, xlabel="requests/s, median of the rounds")
        axes.margins(x=0.15)
    return figure


def _cpu(summary: Summary) -> Any:
    from matplotlib.figure import Figure

    case = f"m0-{SMALL}-c32"
    if case not in summary.cases():
        return None
    systems = summary.systems(case)
    rows = {system: summary.samples(system, case) for system in systems}
    roles = sorted({role for samples in rows.values() for row in samples for role in row["cpu_ms"]})
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    left = [0.0] * len(systems)
    for role in roles:
        spent = [median([row["cpu_ms"].get(role, 0.0) for row in rows[system]]) for system in systems]
        axes.barh(systems, spent, left=left, label=role)
        left = [start + value for start, value in zip(left, spent, strict=True)]
    axes.set(title=case, xlabel="CPU milliseconds a request")
    axes.legend(fontsize="small", ncols=2)
    return figure


def _open_loop(summary: Summary) -> Any:
    from matplotlib.figure import Figure

    shares = [share for share in SHARES if f"m1-{HD}-o{share}" in summary.cases()]
    if not shares:
        return None
    figure = Figure(figsize=(6, 3.2), layout="constrained")
    axes = figure.subplots()
    for percentile in ("p50", "p95", "p99"):
        spans_ms = [middle(summary.values(OURS, f"m1-{HD}-o{share}", latency_ms(percentile))) for share in shares]
        axes.plot(shares, spans_ms, marker="o", label=percentile)
    axes.set(title="M1, 720p, Poisson arrivals", xlabel="offered load, % of capacity", ylabel="milliseconds")
    axes.legend()
    return figure
