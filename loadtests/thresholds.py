"""Turns a finished Locust run into an exit code for scripts and CI."""

import logging

from locust import events
from locust.env import Environment

from loadtests.options import LoadOptions

logger = logging.getLogger("locust.thresholds")


def enforce(options: LoadOptions) -> None:
    """Sets the exit code when the run ends: 1 if a limit of `options` is broken or no request was sent."""

    def judge(environment: Environment, **_: object) -> None:
        broken = broken_limits(environment, options)
        for line in broken:
            logger.error(line)
        environment.process_exit_code = 1 if broken else 0

    events.quitting.add_listener(judge)  # type: ignore[no-untyped-call]


def broken_limits(environment: Environment, options: LoadOptions) -> list[str]:
    """One line for each limit of `options` that the run in `environment` broke."""
    total = environment.stats.total
    broken = []
    if total.num_requests == 0:
        broken.append("no request was sent")
    if total.fail_ratio > options.max_failed_ratio:
        broken.append(f"{total.fail_ratio:.2%} failed, the limit is {options.max_failed_ratio:.2%}")
    p95_s = total.get_response_time_percentile(0.95) / 1000
    if options.max_p95_s is not None and p95_s > options.max_p95_s:
        broken.append(f"the 95th percentile is {p95_s:.3f} s, the limit is {options.max_p95_s:g} s")
    return broken
