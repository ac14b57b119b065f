"""`fathom bench`: a closed loop, in which each of C clients sends its next request when it has its answer."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fathom_client.async_client import AsyncClient
from fathom_client.command.arguments import options_of
from fathom_client.command.console import EXIT_DONE, EXIT_FAILED, say
from fathom_client.command.first_look import first_look
from fathom_client.errors import FathomError, Problem
from fathom_client.images import encoded
from fathom_client.retries import Retry


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured. Latencies are those of the requests that were answered, in milliseconds; errors: how many of
    each code, or of each kind where there is no code."""

    requests: int
    concurrency: int
    seconds: float
    answers_per_s: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    errors: Mapping[str, int]


def bench(chosen: argparse.Namespace) -> int:
    """Prints the figures; fails where a request failed."""
    figures = asyncio.run(_measure(chosen, options_of(chosen)))
    say(json.dumps(asdict(figures)) if chosen.json else _told(figures))
    return EXIT_FAILED if figures.errors else EXIT_DONE


async def _measure(chosen: argparse.Namespace, options: Mapping[str, Any]) -> Figures:
    content = encoded(chosen.image).content
    # Wakes the model, and tells a wrong address, name or option before anything is measured.
    async with AsyncClient(chosen.url, timeout_s=chosen.timeout) as patient:
        await first_look(patient, chosen.model)
        await patient.predict(content, chosen.model, **options)
    latencies_s: list[float] = []
    errors: Counter[str] = Counter()
    turns = iter(range(chosen.requests))

    async def loop(client: AsyncClient) -> None:
        for _ in turns:
            begun = time.perf_counter()
            try:
                await client.predict(content, chosen.model, **options)
            except FathomError as error:
                errors[_code_of(error)] += 1
            else:
                latencies_s.append(time.perf_counter() - begun)

    # One attempt each: a refusal is a figure, too.
    async with AsyncClient(chosen.url, timeout_s=chosen.timeout, retry=Retry(attempts=1)) as client:
        begun = time.perf_counter()
        await asyncio.gather(*(loop(client) for _ in range(min(chosen.concurrency, chosen.requests))))
        seconds = time.perf_counter() - begun
    p50, p95, p99 = (percentile_ms(latencies_s, share) for share in (0.5, 0.95, 0.99))
    rate = len(latencies_s) / seconds
    return Figures(chosen.requests, chosen.concurrency, seconds, rate, p50, p95, p99, dict(errors))


def percentile_ms(latencies_s: Sequence[float], share: float) -> float | None:
    """The smallest latency that at least this share of the requests did not exceed."""
    if not latencies_s:
        return None
    return sorted(latencies_s)[math.ceil(share * len(latencies_s)) - 1] * 1000


def _code_of(error: FathomError) -> str:
    if isinstance(error, Problem):
        return error.code or str(error.status)
    return type(error).__name__


def _told(figures: Figures) -> str:
    failed = sum(figures.errors.values())
    named = f" ({', '.join(f'{code}: {times}' for code, times in figures.errors.items())})" if failed else ""
    return "\n".join(
        [
            f"requests      {figures.requests}, {figures.concurrency} at a time, in {figures.seconds:.2f} s",
            f"throughput    {figures.answers_per_s:.1f} answers/s",
            f"latency       {_shown(figures.p50_ms)} p50, {_shown(figures.p95_ms)} p95, {_shown(figures.p99_ms)} p99",
            f"errors        {failed}{named}",
        ]
    )


def _shown(milliseconds: float | None) -> str:
    return "none" if milliseconds is None else f"{milliseconds:.1f} ms"
