"""What a run's rows say together: medians over rounds, the best of a system's variants, ratios. Pure arithmetic
on the JSON of a run; knows no bar and no chart.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report.ratios import Ratio, median, ratio
from benchmarks.systems.table import HANDWRITTEN

BEST_HANDWRITTEN = "handwritten"
"""The better of the hand-written server's variants, case by case."""

Row = Mapping[str, Any]
Series = dict[int, float]
"""A figure by round; a round that failed is missing."""


class NotMeasured(Exception):
    """The run has no such rows."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A run's rows. document: as `results.json` has them."""

    document: Mapping[str, Any]

    def cases(self) -> list[str]:
        """The cases that were measured, in order."""
        return list(dict.fromkeys(row["case"] for row in self.document["samples"]))

    def systems(self, case: str) -> list[str]:
        """The systems that have figures for `case`."""
        return list(dict.fromkeys(row["system"] for row in self.document["samples"] if row["case"] == case))

    def samples(self, system: str, case: str) -> list[Row]:
        """Rows of one system and case, by round. Raises NotMeasured."""
        name = self.best_handwritten(case) if system == BEST_HANDWRITTEN else system
        rows = [row for row in self.document["samples"] if row["system"] == name and row["case"] == case]
        if not rows:
            raise NotMeasured(f"{system} was not measured in {case}")
        return rows

    def best_handwritten(self, case: str) -> str:
        """The variant with the higher median rate."""
        rates = {}
        for name in HANDWRITTEN:
            if name in self.systems(case):
                rates[name] = middle(self.values(name, case, rate))
        if not rates:
            raise NotMeasured(f"the hand-written server was not measured in {case}")
        return max(rates, key=lambda name: rates[name])

    def values(self, system: str, case: str, pick: Callable[[Row], float | None]) -> Series:
        """What `pick` finds in each round; rounds without a value are left out. Raises NotMeasured."""
        rows = self.samples(system, case)
        found = {int(row["round"]): value for row in rows if (value := pick(row)) is not None}
        if not found:
            raise NotMeasured(f"{system} has no such figure in {case}")
        return found

    def limit_rates(self, stem: str) -> Series:
        """images/s of the best configuration (by median over the rounds) for model-image."""
        rows = self._limits(stem)
        by_configuration: dict[tuple[int, int, int], list[Row]] = {}
        for row in rows:
            key = (row["processes"], row["threads"], row["batch"])
            by_configuration.setdefault(key, []).append(row)
        best = max(by_configuration.values(), key=lambda rows: median([row["images_per_s"] for row in rows]))
        return _series(best, "images_per_s")

    def in_process_ms(self, stem: str) -> Series:
        """Milliseconds of one image, alone, in one process on one thread."""
        rows = [row for row in self._limits(stem) if (row["processes"], row["threads"], row["batch"]) == (1, 1, 1)]
        return _series(rows, "p50_ms")

    def redis_values(self, system: str, image: str, is_persistent: bool, figure: str) -> Series:
        """A figure of the Redis door. Raises NotMeasured."""
        rows = [
            row
            for row in self.document["redis"]
            if (row["system"], row["picture"], row["persistent"]) == (system, image, is_persistent)
        ]
        if not rows:
            raise NotMeasured(f"redis: {system} was not measured with {image}")
        return _series(rows, figure)

    def start_values(self, system: str) -> Series:
        """Seconds until ready. Raises NotMeasured."""
        found = _series([row for row in self.document["starts"] if row["system"] == system], "seconds")
        if not found:
            raise NotMeasured(f"the start of {system} was not measured")
        return found

    def _limits(self, stem: str) -> list[Row]:
        rows = [row for row in self.document["limits"] if f"{row['model']}-{row['picture']}" == stem]
        if not rows:
            raise NotMeasured(f"the limit was not measured for {stem}")
        return rows


def rate(row: Row) -> float:
    """requests/s answered with 200."""
    return float(row["figures"]["requests_per_s"])


def latency_ms(percentile: str) -> Callable[[Row], float | None]:
    """A picker of `p50`, `p95` or `p99` of answers with 200."""
    return lambda row: row["figures"]["latency"][f"{percentile}_ms"]


def statuses(rows: Sequence[Row]) -> Counter[str]:
    """What became of the requests of all rounds."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row["figures"]["statuses"])
    return total


def middle(series: Series) -> float:
    """The median over the rounds."""
    return median(list(series.values()))


def same_rounds_ratio(above: Series, below: Series) -> Ratio:
    """The ratio over the rounds that both have. Raises NotMeasured when there is none."""
    shared = sorted(above.keys() & below.keys())
    if not shared:
        raise NotMeasured("no round has both")
    return ratio([above[number] for number in shared], [below[number] for number in shared])


def _series(rows: Sequence[Row], figure: str) -> Series:
    return {int(row["round"]): float(row[figure]) for row in rows}
