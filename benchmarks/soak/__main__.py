"""`python -m benchmarks.soak`: a soak of the system on this machine."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from benchmarks.machine.scratch import INTERRUPTED, run_folder
from benchmarks.machine.started import StartError
from benchmarks.soak.memory import ROLES
from benchmarks.soak.one_machine import one_machine
from benchmarks.soak.soak import Plan, Site, soak
from benchmarks.soak.verdict import BOUND_MIB_PER_H, lines, reasons


def parse_options(arguments: Sequence[str] | None, name: str = "benchmarks.soak") -> argparse.Namespace:
    """The options; ends the process with a message when one is wrong."""
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=__doc__)
    parser.add_argument("--minutes", type=_AtLeast(2.0), default=30.0, help="of load, at least 2 (%(default)g)")
    parser.add_argument(
        "--bound",
        type=_AtLeast(0.0),
        default=BOUND_MIB_PER_H,
        metavar="MIB_PER_HOUR",
        help="the soak fails when the memory of a process grows faster (%(default)g)",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0, or 1 when something was lost, memory grows or the system failed; 130 after an interrupt."""
    options = parse_options(arguments)
    try:
        with run_folder() as scratch, one_machine(scratch) as site:
            return judged(site, options)
    except (StartError, ExceptionGroup) as error:
        say(f"FAIL: {cause(error)}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; everything that was started is stopped")
        return INTERRUPTED


def judged(site: Site, options: argparse.Namespace) -> int:
    """Carries a soak out, prints what it has shown, and whether that is right: 0, or 1."""
    plan = Plan(options.minutes)
    say(
        f"{plan.minutes:g} minutes of load, {plan.kills} kills; the slope of a process's memory begins "
        f"{plan.warm_s:.0f} s after its first sample and must be at most {options.bound:g} MiB/h"
    )
    found = asyncio.run(soak(site, plan, say))
    broken = reasons(found, options.bound, plan.kills, ROLES)
    say("\n".join([*lines(found), "", *(f"FAIL: {one}" for one in broken)] + ([] if broken else ["PASS"])))
    return int(bool(broken))


def cause(error: Exception) -> Exception:
    """The first error of those that a group of tasks has raised."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error


def say(text: str) -> None:
    """A line for whoever waits."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


class _AtLeast:
    """Parses a number that is not below a limit."""

    def __init__(self, least: float) -> None:
        self._least = least

    def __call__(self, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
        if not value >= self._least:
            raise argparse.ArgumentTypeError(f"must be at least {self._least:g}, got {text}")
        return value


if __name__ == "__main__":
    sys.exit(main())
