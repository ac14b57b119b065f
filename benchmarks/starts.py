"""What a start of the system takes, with forked workers and with workers that import for themselves, in turn:
`python -m benchmarks.starts`, on an idle machine.

Seconds are until `/health/ready` says so with the demo model; core seconds are what the whole machine did meanwhile.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine.ready import wait_until_ready
from benchmarks.machine.scratch import INTERRUPTED, run_folder
from benchmarks.machine.started import StartError
from benchmarks.machine.usage import MachineTime
from benchmarks.models import DEMO, bench_model
from benchmarks.systems.contract import Workspace
from benchmarks.systems.ours import start

VARIANTS: dict[str, dict[str, str]] = {"forked": {}, "each for itself": {"FATHOM_FORK_WORKERS": "0"}}


@dataclass(frozen=True, slots=True)
class Taken:
    """By one start."""

    wall_s: float
    core_s: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 when a start fails, 130 after an interrupt."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starts", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5, help="of each (%(default)s)")
    turns = parser.parse_args(arguments).turns
    taken: dict[str, list[Taken]] = {name: [] for name in VARIANTS}
    try:
        with run_folder() as scratch:
            for turn in range(turns):
                for name in list(VARIANTS)[:: 1 if turn % 2 == 0 else -1]:
                    folder = scratch / f"{turn}{len(taken[name])}{name[0]}"
                    folder.mkdir()
                    one = _taken(Workspace(folder, folder, Path("configs/app.yaml"), VARIANTS[name]))
                    taken[name].append(one)
                    _say(f"turn {turn + 1}, {name}: {one.wall_s:.1f} s, {one.core_s:.1f} core s")
    except StartError as error:
        _say(f"{error}")
        return 1
    except KeyboardInterrupt:
        _say("interrupted; everything that was started is stopped")
        return INTERRUPTED
    _say("\n".join(lines(taken)))
    return 0


def lines(taken: dict[str, list[Taken]]) -> list[str]:
    """The middle of the turns, for people."""
    return [
        f"{name}: {statistics.median(one.wall_s for one in some):.1f} s, "
        f"{statistics.median(one.core_s for one in some):.1f} core s"
        for name, some in taken.items()
        if some
    ]


def _taken(workspace: Workspace) -> Taken:
    before = MachineTime.now()
    began_at_s = time.monotonic()
    running = start(bench_model(DEMO, {}), workspace)
    try:
        wait_until_ready(running)
        wall_s = time.monotonic() - began_at_s
        return Taken(wall_s, MachineTime.now().busy_s - before.busy_s)
    finally:
        running.stop()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
