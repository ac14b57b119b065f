"""What a soak has shown, in lines for people, and the reasons why it has failed."""

import statistics
from collections.abc import Sequence

from benchmarks.soak.memory import Trend
from benchmarks.soak.soak import Found

BOUND_MIB_PER_H = 60.0
"""Of each process's slope, by default."""


MOST_REFUSED = 0.03
"""Of all requests: while a replica is being replaced, more wait than are taken in."""


def lines(found: Found) -> list[str]:
    """The figures."""
    accounts = found.accounts
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(accounts.outcomes.items()))
    wakes_s = found.wakes_s or [0.0]
    wakes = f"{len(found.wakes_s)} of them over HTTP, median {statistics.median(wakes_s):.1f} s, "
    return [
        f"HTTP: {accounts.requests} requests, {accounts.failed} failed, {accounts.refused} refused "
        f"({outcomes or 'no answer'}), {accounts.hidden} by another node, slowest {accounts.slowest_s:.1f} s",
        f"Redis: {accounts.jobs} jobs, {accounts.answered} answered, {accounts.lost} lost",
        f"wakes: {found.wakes}, {wakes}longest {max(wakes_s):.1f} s; still awake {found.still_awake} times",
        *found.kills,
        "",
        "| process | minutes | MiB at first | MiB at last | slope, MiB/h |",
        "|---|---|---|---|---|",
        *(_row(trend) for trend in found.trends),
    ]


def reasons(found: Found, bound_mib_per_h: float, kills: int, judged: Sequence[str]) -> list[str]:
    """Why the soak has failed; empty when it has not. judged: roles of which a slope must be known."""
    accounts = found.accounts
    broken = []
    if accounts.failed:
        broken.append(f"{accounts.failed} requests failed")
    if accounts.refused > MOST_REFUSED * accounts.requests:
        broken.append(f"{accounts.refused} requests were refused, more than {MOST_REFUSED:.0%}")
    if accounts.lost:
        broken.append(f"{accounts.lost} jobs lost: {[*accounts.waiting, *accounts.errors][:5]}")
    if accounts.answered == 0 or accounts.requests == 0:
        broken.append("nothing was asked")
    if found.wakes == 0:
        broken.append("the model that sleeps was never woken")
    if found.still_awake:
        broken.append(f"the model that sleeps was still awake {found.still_awake} times after a minute")
    if len(found.kills) < kills:
        broken.append(f"{len(found.kills)} of {kills} processes were killed")
    known = {trend.role for trend in found.trends if trend.slope_mib_per_h is not None}
    broken += [f"the slope of the {role} is not known" for role in judged if role not in known]
    broken += [
        f"the memory of the {trend.role} (process {trend.pid}) grows by {trend.slope_mib_per_h:.0f} MiB/h, "
        f"the bound is {bound_mib_per_h:g}"
        for trend in found.trends
        if trend.slope_mib_per_h is not None and trend.slope_mib_per_h > bound_mib_per_h
    ]
    return broken


def _row(trend: Trend) -> str:
    slope = "too short" if trend.slope_mib_per_h is None else f"{trend.slope_mib_per_h:.1f}"
    return (
        f"| {trend.role} {trend.pid} | {trend.minutes:.0f} | {trend.first_mib:.1f} | {trend.last_mib:.1f} | {slope} |"
    )
