"""A guard against losing speed, for a few minutes of an idle machine: ratios of this system to the hand-written
server and to the limit in the same run, each with a floor a little below what was reached.

`python -m benchmarks.guard` (`make bench-guard`) prints each ratio with PASS or FAIL; exit status 1 on a FAIL.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cases import CASES, Case
from benchmarks.limit.calibration import calibrated_depths
from benchmarks.limit.limit import best_setups, every_setup, measure_limit
from benchmarks.load.load import Window
from benchmarks.machine.ready import wait_until_calm, wait_until_ready
from benchmarks.machine.scratch import INTERRUPTED, run_folder
from benchmarks.machine.started import StartError
from benchmarks.measure import CaseLoad, measure
from benchmarks.models import M1, NOOP, BenchModel, bench_model
from benchmarks.report.ratios import Ratio, median, ratio
from benchmarks.sample_images import HD, SMALL, sample_image
from benchmarks.systems.contract import FAST_ENDPOINT, Running, Workspace
from benchmarks.systems.table import FAST, HANDWRITTEN, LIMIT, OURS, SYSTEMS

WARM_S = 0.5
Rates = Mapping[str, Sequence[float]]
"""System -> its requests per second, turn by turn."""


@dataclass(frozen=True, slots=True)
class Floor:
    """One ratio that must not fall. below: the limit, or HANDWRITTEN[0] for the better of its variants."""

    case: str
    above: str
    below: str
    least: float


FLOORS = (
    Floor(f"{M1}-{HD}-c32", FAST, HANDWRITTEN[0], 0.80),
    Floor(f"{M1}-{HD}-c32", OURS, HANDWRITTEN[0], 0.75),
    Floor(f"{M1}-{HD}-c32", FAST, LIMIT, 0.60),
    Floor(f"{NOOP}-{SMALL}-c32", FAST, HANDWRITTEN[0], 0.32),
    Floor(f"{NOOP}-{SMALL}-c32", OURS, HANDWRITTEN[0], 0.32),
)
"""A little below 0.87, 0.84, 0.65, 0.35 and 0.35: six turns each on two idle cores, all systems running at once."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 when a ratio is below its floor or a system fails, 130 after an interrupt."""
    options = _parse(arguments)
    try:
        with run_folder() as scratch:
            rates = {name: _rates(name, options, scratch) for name in dict.fromkeys(one.case for one in FLOORS)}
    except StartError as error:
        _say(f"{error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; everything that was started is stopped")
        return INTERRUPTED
    found = [(floor, reached(floor, rates[floor.case])) for floor in FLOORS]
    _say("\n".join(lines(found)))
    return int(any(is_below(floor, one) for floor, one in found))


def reached(floor: Floor, rates: Rates) -> Ratio:
    """The ratio that the floor is for."""
    if floor.below == LIMIT:
        limit = median(rates[LIMIT])
        return ratio(rates[floor.above], [limit] * len(rates[floor.above]))
    best = max(HANDWRITTEN, key=lambda name: median(rates[name]))
    return ratio(rates[floor.above], rates[best])


def is_below(floor: Floor, found: Ratio) -> bool:
    """Whether even the upper end of the interval is below: a machine that was disturbed proves nothing."""
    return (found.median if found.high is None else found.high) < floor.least


def lines(found: Sequence[tuple[Floor, Ratio]]) -> Iterator[str]:
    """One for each floor, for people."""
    for floor, one in found:
        below = "hand-written" if floor.below in HANDWRITTEN else floor.below
        interval = "" if one.low is None else f" [{one.low:.2f}, {one.high:.2f}]"
        verdict = "FAIL" if is_below(floor, one) else "PASS"
        told = f"{floor.above} over {below} {one.median:.2f}{interval}"
        yield f"{verdict}  {floor.case}: {told}, floor {floor.least:.2f}"


def _rates(name: str, options: argparse.Namespace, scratch: Path) -> dict[str, list[float]]:
    case = next(one for one in CASES if one.name == name)
    image = sample_image(case.image)
    file = scratch / f"{case.image}.bin"
    file.write_bytes(image.upload.content)
    hd = scratch / "calibration.bin"
    hd.write_bytes(sample_image(HD).upload.content)
    model = bench_model(case.model, calibrated_depths([case.model], hd, options.results, scratch))
    rates: dict[str, list[float]] = {system: [] for system in (OURS, FAST, *HANDWRITTEN, LIMIT)}
    setups = every_setup([file])
    rows = measure_limit(model, setups, options.seconds / 4, scratch)
    with ExitStack() as stack:
        running = _all_running(model, case, scratch, stack)
        for turn in range(options.turns):
            for system in _turned(list(running), turn):
                load = CaseLoad(case, Window(WARM_S, options.seconds), counts_batches=False)
                sample = measure(running[system], image, load)
                rates[system].append(sample["figures"]["requests_per_s"])
            _say(f"{name} turn {turn + 1}: " + ", ".join(f"{one} {rates[one][-1]:.1f}" for one in running))
    again = measure_limit(model, best_setups(setups, rows), options.seconds / 2, scratch)
    rates[LIMIT] += [max(row["images_per_s"] for row in some) for some in (rows, again)]
    return rates


def _all_running(model: BenchModel, case: Case, scratch: Path, stack: ExitStack) -> dict[str, Running]:
    running: dict[str, Running] = {}
    for system in (OURS, *HANDWRITTEN):
        folder = scratch / f"{case.model}-{system}"
        folder.mkdir()
        one = SYSTEMS[system](model, Workspace(folder, folder, Path("configs/app.yaml")))
        stack.callback(one.stop)
        wait_until_ready(one)
        wait_until_calm(one)
        running[system] = one
    ours = running[OURS]
    # The same processes, asked at another address.
    running[FAST] = Running(
        ours.port, ours.parts, FAST_ENDPOINT.format(model=model.name), metrics_path=ours.metrics_path, is_raw=True
    )
    return running


def _turned(systems: list[str], turn: int) -> list[str]:
    # Who comes first changes, so that a drift of the machine meets all alike.
    at = turn % len(systems)
    return systems[at:] + systems[:at]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.guard", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=6, help="of each system (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.5, help="of a turn (%(default)s)")
    parser.add_argument("--results", type=Path, default=Path("bench-results"), help="folder of the calibration")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
