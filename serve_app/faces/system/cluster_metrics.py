"""Prometheus text of the whole cluster, from each node's metrics agent: one scrape of the door sees all replicas.

Ray prefixes every series with `ray_`; our own get their own names back (`fathom_...`). Of Ray's those of Serve are
kept, and what its agents say of the machines: memory, disk and GPUs.
"""

import asyncio
import logging
import re
from collections.abc import Iterable

import httpx

from deployments.logs import OWN_LOGGER

logger = logging.getLogger(OWN_LOGGER)

NODE_TIMEOUT_S = 3.0
_NOISE = re.compile(r'\b(Component|SessionName|Version|WorkerId|otel_scope_\w+)="[^"]*",?')
_MACHINE = (
    "cpu_utilization|cpu_count|mem_used|mem_total|disk_free|disk_utilization_percentage|gpus_utilization|"
    "gram_used|gram_available|gpu_power_milliwatts|gpu_temperature_celsius"
)
_KEPT = re.compile(rf"^(?:# (?:HELP|TYPE) )?ray_((?:serve|fathom)_\w+|node_(?:{_MACHINE})\b)")


async def gather_metrics(node_urls: Iterable[str]) -> str:
    """The kept series of all nodes. A node that does not answer is left out and logged."""
    async with httpx.AsyncClient(timeout=NODE_TIMEOUT_S, trust_env=False) as client:
        texts = await asyncio.gather(*(_fetch(client, url) for url in node_urls))
    return merge(texts)


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
