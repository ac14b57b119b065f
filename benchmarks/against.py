"""Two states of this repository beside each other: a checkout of another commit, and this one.

`python -m benchmarks.against ../before` starts both and asks them in turn for a few seconds each, so that a machine
whose speed changes within minutes does so for both. Prints the ratio of the rates, and CPU by role. The other
checkout needs nothing but its files: it runs with this Python and the packages that are installed here.
`python -m benchmarks.against . --v1` sets /v1 beside /predictor/.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.cases import CASES, Case
from benchmarks.limit.calibration import calibrated_depths
from benchmarks.load.load import Window
from benchmarks.machine.ready import wait_until_calm, wait_until_ready
from benchmarks.machine.scratch import INTERRUPTED, run_folder
from benchmarks.machine.started import StartError
from benchmarks.measure import CaseLoad, measure
from benchmarks.models import bench_model
from benchmarks.report.ratios import median, ratio
from benchmarks.sample_images import HD, SampleImage, sample_image
from benchmarks.systems.contract import Running, Start, Workspace
from benchmarks.systems.ours import start, start_fast

BEFORE, AFTER = "before", "after"
WARM_S = 0.3


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 when one of the two does not start or refuses requests."""
    options = _parse(arguments)
    case = next(one for one in CASES if one.name == options.case)
    trees = {BEFORE: options.tree.resolve(), AFTER: Path.cwd()}
    try:
        with (
            run_folder() as scratch,
            _running(trees[BEFORE], case, scratch / "a") as before,
            _running(trees[AFTER], case, scratch / "b", start_fast if options.v1 else start) as after,
        ):
            samples = _in_turn({BEFORE: before, AFTER: after}, case, options.turns, options.seconds)
    except StartError as error:
        _say(f"{error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; both systems are stopped")
        return INTERRUPTED
    _say("\n".join(report(case.name, samples[BEFORE], samples[AFTER])))
    return int(any(_refused(one) for side in samples.values() for one in side))


def order(turns: int) -> list[str]:
    """Who is asked when: before, after, after, before, ... so that a drift meets both alike."""
    return [side for turn in range(turns) for side in ((BEFORE, AFTER) if turn % 2 == 0 else (AFTER, BEFORE))]


def report(case: str, before: Sequence[dict[str, Any]], after: Sequence[dict[str, Any]]) -> list[str]:
    """The lines for people. before, after: samples of `measure`, one of each turn."""
    rates = [[one["figures"]["requests_per_s"] for one in side] for side in (before, after)]
    found = ratio(rates[1], rates[0])
    interval = "" if found.low is None else f", 95 % of {found.low:.2f} to {found.high:.2f}"
    lines = [
        f"{case}, {found.rounds} turns: {median(rates[0]):.1f} req/s before, {median(rates[1]):.1f} after",
        f"after / before: {found.median:.2f}{interval}",
        f"{'CPU ms a request':18} {BEFORE:>8} {AFTER:>8}",
    ]
    for role in dict.fromkeys(role for one in (*before, *after) for role in one["cpu_ms"]):
        spent = [median([one["cpu_ms"].get(role, 0.0) for one in side]) for side in (before, after)]
        if max(spent) >= 0.01:
            lines.append(f"{role:18} {spent[0]:8.3f} {spent[1]:8.3f}")
    spent = [median([sum(one["cpu_ms"].values()) for one in side]) for side in (before, after)]
    return [*lines, f"{'all':18} {spent[0]:8.3f} {spent[1]:8.3f}"]


def _in_turn(running: dict[str, Running], case: Case, turns: int, seconds: float) -> dict[str, list[dict[str, Any]]]:
    image: SampleImage = sample_image(case.image)
    samples: dict[str, list[dict[str, Any]]] = {BEFORE: [], AFTER: []}
    for side in order(turns):
        load = CaseLoad(case, Window(WARM_S, seconds), counts_batches=False)
        samples[side].append(measure(running[side], image, load))
    return samples


@contextmanager
def _running(tree: Path, case: Case, scratch: Path, start_one: Start = start) -> Iterator[Running]:
    scratch.mkdir()
    depths = calibrated_depths([case.model], _image_file(scratch), Path("bench-results"), scratch)
    # Its own modules count, wherever the bench was started.
    environ = {"PYTHONPATH": f"{tree}", "PYTHONSAFEPATH": "1"}
    workspace = Workspace(scratch, scratch, tree / "configs" / "app.yaml", environ)
    running = start_one(bench_model(case.model, depths), workspace)
    try:
        wait_until_ready(running)
        wait_until_calm(running)
        yield running
    finally:
        running.stop()


def _image_file(scratch: Path) -> Path:
    file = scratch / "calibration.bin"
    file.write_bytes(sample_image(HD).upload.content)
    return file


def _refused(sample: dict[str, Any]) -> bool:
    return any(status != "200" for status in sample["figures"]["statuses"])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__.splitlines()[0])
    parser.add_argument("tree", type=Path, help="folder with a checkout of another commit")
    closed = [case.name for case in CASES if case.concurrency is not None]
    parser.add_argument("--case", choices=closed, default="m0-64px-c32", help="%(choices)s (%(default)s)")
    parser.add_argument(
        "--v1",
        action="store_true",
        help="ask this commit at /v1, with the image as the body; the other at /predictor/",
    )
    parser.add_argument("--turns", type=int, default=30, help="of each (%(default)s)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a turn (%(default)s)")
    options = parser.parse_args(arguments)
    if not (options.tree / "serve_app").is_dir():
        parser.error(f"{options.tree} is no checkout of this repository")
    return options


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
