"""Prometheus text of the whole cluster, so that one scrape of the HTTP port sees every replica. Asks each node's
metrics agent; knows no metric's meaning.

Ray prefixes every series with `ray_`; our own are given back under their own names (`fathom_...`), and of Ray's
only those of Serve are kept.
"""

import asyncio
import logging
import re
from collections.abc import Iterable

import httpx

logger = logging.getLogger("ray.serve")

NODE_TIMEOUT_S = 3.0
_KEPT = re.compile(r"^(# (?:HELP|TYPE) )?ray_(serve_|fathom_)")


async def gather_metrics(node_urls: Iterable[str]) -> str:
    """The kept series of all nodes. A node that does not answer is left out and logged."""
    async with httpx.AsyncClient(timeout=NODE_TIMEOUT_S, trust_env=False) as client:
        texts = await asyncio.gather(*(_fetch(client, url) for url in node_urls))
    return "".join(keep_ours(text) for text in texts)


def keep_ours(text: str) -> str:
    """The lines of Serve's and our own series; ours without Ray's prefix."""
    kept = [line for line in text.splitlines(keepends=True) if _KEPT.match(line)]
    return "".join(line.replace("ray_fathom_", "fathom_", 1) for line in kept)


async def _fetch(client: httpx.AsyncClient, url: str) -> str:
    try:
        response = await client.get(url)
        response.raise_for_status()
    except httpx.HTTPError as error:
        logger.warning("no metrics from %s: %s", url, error)
        return ""
    return response.text
