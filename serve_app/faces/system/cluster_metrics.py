"""Prometheus text of the whole cluster, from each node's metrics agent: one scrape of the door sees all replicas.

Ray prefixes every series with `ray_`; our own get their own names back (`fathom_...`). Of Ray's those of Serve are
kept, and what its agents say of the machines: memory, disk and GPUs.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus

import httpx
from starlette.exceptions import HTTPException

from deployments.logs import OWN_LOGGER

logger = logging.getLogger(OWN_LOGGER)

NODE_TIMEOUT_S = 3.0
PATIENCE_S = 10.0
"""Of one who asks, while the cluster itself does not say which nodes there are."""

MAX_AGE_S = 1.0
"""Of a text that is answered again. Agents collect anew every few seconds only."""

_NOISE = re.compile(r'\b(Component|SessionName|Version|WorkerId|otel_scope_\w+)="[^"]*",?')
_MACHINE = (
    "cpu_utilization|cpu_count|mem_used|mem_total|disk_free|disk_utilization_percentage|gpus_utilization|"
    "gram_used|gram_available|gpu_power_milliwatts|gpu_temperature_celsius"
)
_KEPT = re.compile(rf"^(?:# (?:HELP|TYPE) )?ray_((?:serve|fathom)_\w+|node_(?:{_MACHINE})\b)")


class ClusterMetrics:
    """The text for all who ask: gathered once for those who ask together, and at most once in MAX_AGE_S, so that no
    client can keep the door busy with it.

    node_urls: the addresses of the metrics agents. It may block, so it is called in a thread.
    """

    def __init__(
        self,
        node_urls: Callable[[], list[str]],
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._node_urls = node_urls
        self._patience_s = patience_s
        self._clock = clock
        self._gathering: asyncio.Task[str] | None = None
        self._began_at_s = 0.0

    async def text(self) -> str:
        """As of MAX_AGE_S ago at most. Raises HTTPException (503) after PATIENCE_S, and what `node_urls` raises."""
        under_way = self._gathering
        if under_way is None or (under_way.done() and self._clock() - self._began_at_s >= MAX_AGE_S):
            self._began_at_s = self._clock()
            self._gathering = under_way = asyncio.create_task(self._gather())
        # A client that leaves takes nothing away from those who ask with it.
        try:
            return await asyncio.wait_for(asyncio.shield(under_way), self._patience_s)
        except TimeoutError:
            detail = f"the cluster has not said for {self._patience_s:g} s which nodes it has"
            raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "5"}) from None

    async def _gather(self) -> str:
        return await gather_metrics(await asyncio.to_thread(self._node_urls))


async def gather_metrics(node_urls: Iterable[str]) -> str:
    """The kept series of all nodes. A node that does not answer is left out and logged."""
    async with httpx.AsyncClient(timeout=NODE_TIMEOUT_S, trust_env=False) as client:
        texts = await asyncio.gather(*(_fetch(client, url) for url in node_urls))
    return await asyncio.to_thread(merge, texts)


def merge(texts: Iterable[str]) -> str:
    """The series of Serve, of the machines and our own from several nodes as one valid text: each metric's HELP and
    TYPE once, its samples together, ours without Ray's prefix, all without Ray's labels for its own workers."""
    metrics: dict[str, dict[str, None]] = {}
    for text in texts:
        metric = ""
        for line in text.splitlines():
            found = _KEPT.match(line)
            if found is None:
                continue
            if line.startswith("# HELP"):
                metric = found[1]
            kept = _NOISE.sub("", line).replace(",}", "}", 1).replace("ray_fathom_", "fathom_", 1)
            metrics.setdefault(metric, {})[kept] = None
    return "".join(f"{line}\n" for lines in metrics.values() for line in lines)


async def _fetch(client: httpx.AsyncClient, url: str) -> str:
    try:
        response = await client.get(url)
        response.raise_for_status()
    except httpx.HTTPError as error:
        logger.warning("no metrics from %s: %s", url, error)
        return ""
    return response.text
