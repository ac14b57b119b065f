"""The command line of the bench. Knows names and limits; starts nothing."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.cases import BAR_CASES
from benchmarks.models import MODELS
from benchmarks.redis_door import REDIS_SYSTEMS
from benchmarks.report.timing import QUICK, Timing
from benchmarks.systems.contract import FAST_ENDPOINT
from benchmarks.systems.table import LEGACY, LIMIT, SYSTEMS

EVERY_SYSTEM = (LIMIT, *SYSTEMS)
REDIS, START = "redis", "start"
EXTRAS = (REDIS, START)


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options; ends the process with a message when one is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--check", action="store_true", help="print every bar with PASS or FAIL; exit 1 on a FAIL")
    parser.add_argument("--check-file", type=Path, metavar="JSON", help="only evaluate the bars on an earlier run")
    parser.add_argument("--systems", type=_names(EVERY_SYSTEM), help=f"of {', '.join(EVERY_SYSTEM)}")
    parser.add_argument("--models", type=_names(MODELS), default=list(MODELS), help=f"of {', '.join(MODELS)}")
    parser.add_argument(
        "--cases", type=_words, default=["*"], help="names of cases, with * as a wildcard, such as m1-720p-*"
    )
    parser.add_argument("--bars", action="store_true", help="only the cases that the bars need, in half the time")
    parser.add_argument("--extras", type=_names(EXTRAS), default=list(EXTRAS), help="of redis, start; '' for none")
    parser.add_argument(
        "--redis-systems", type=_names(REDIS_SYSTEMS), default=list(REDIS_SYSTEMS), help="of floor, legacy, ours"
    )
    parser.add_argument("--rounds", type=_positive(int), help="rounds over all systems (5)")
    parser.add_argument("--seconds", type=_positive(float), help="counted seconds of each case (8)")
    parser.add_argument("--env", type=_pair, action="append", default=[], metavar="KEY=VALUE", help="for ours only")
    parser.add_argument("--config", type=Path, default=Path("configs/app.yaml"), help="whose shape ours has")
    parser.add_argument("--fast-endpoint", default=FAST_ENDPOINT, help="of ours, with {model} (%(default)s)")
    parser.add_argument("--large-png", type=Path, help="an image file for the case 4mb instead of a drawn one")
    parser.add_argument("--results", type=Path, default=Path("bench-results"), help="folder of results")
    parser.add_argument("--recalibrate", action="store_true", help="size the 14 ms and 50 ms models anew")
    options = parser.parse_args(arguments)
    if options.systems is None:
        options.systems = list(EVERY_SYSTEM)
    if options.bars:
        options.cases = list(BAR_CASES)
        options.systems = [name for name in options.systems if name != LEGACY]
    return options


def timing_of(options: argparse.Namespace) -> Timing:
    """Rounds and seconds: those of a quick or a full run, unless they are given."""
    timing = QUICK if options.quick else Timing()
    given = {name: value for name in ("rounds", "seconds") if (value := getattr(options, name)) is not None}
    return replace(timing, **given)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _names(known: Sequence[str]) -> "_Names":
    return _Names(known)


class _Names:
    """Parses names separated by commas, in the order of `known`."""

    def __init__(self, known: Sequence[str]) -> None:
        self._known = known

    def __call__(self, text: str) -> list[str]:
        words = _words(text)
        wrong = [word for word in words if word not in self._known]
        if wrong:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(wrong)}; known: {', '.join(self._known)}")
        return [name for name in self._known if name in words]


class _Positive:
    """Parses a number above zero."""

    def __init__(self, kind: type[int] | type[float]) -> None:
        self._kind = kind

    def __call__(self, text: str) -> int | float:
        try:
            value = self._kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be a number, got {text!r}") from None
        if value <= 0:
            raise argparse.ArgumentTypeError(f"must be above 0, got {text}")
        return value


def _positive(kind: type[int] | type[float]) -> _Positive:
    return _Positive(kind)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE, got {text!r}")
    return key, value
