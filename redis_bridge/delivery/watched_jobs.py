"""Logs and traces jobs, where the environment asks for it."""

import time
from collections.abc import Sequence
from dataclasses import replace

from deployments.watching.watch import Watch
from redis_bridge.delivery.leased_job import LeasedJob
from redis_bridge.wire.job_format import Job

NO_FAILURE = frozenset({"ok", "given-back", "left-in-slot", "taken-over"})
"""Outcomes that are no error of the job; all others are codes of errors."""


def traced(watch: Watch, queue: str, leased: LeasedJob, job: Job) -> Job:
    """`job`, as a part of the trace that begins with it if it is sampled."""
    leased.span = watch.begin(f"job {queue}", None, leased.origin)
    return replace(job, traceparent=watch.traceparent_of(leased.span))


def note_end(watch: Watch, queue: str, jobs: Sequence[LeasedJob], outcome: str) -> None:
    """These jobs have left their leases."""
    for leased in jobs:
        if watch.log_requests:
            seconds = time.perf_counter() - leased.leased_at_s
            text = f"job of queue {queue}: {outcome} in {seconds:.4f} s"
            watch.line(text, leased.origin, queue=queue, outcome=outcome, seconds=seconds)
        if leased.span is not None:
            attributes = {"messaging.destination.name": queue, "fathom.outcome": outcome}
            watch.end(leased.span, attributes, "" if outcome in NO_FAILURE else outcome)
            leased.span = None
