"""A fetcher over a resolver that tests fill in."""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from deployments.byte_budget import HeldBytes
from deployments.errors import ServingError
from serve_app.fetching.addresses import IPAddress
from serve_app.fetching.allow_list import AllowList
from serve_app.fetching.fetcher import FetchLimits, ImageFetcher, Secret

MAX_BYTES = 100_000


class Names:
    """A resolver. Each name has addresses for the first question, others for the next, ..."""

    def __init__(self, **addresses: Sequence[Sequence[str]]) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[IPAddress]:
        del port
        self.asked.append(host)
        turns = self.addresses.get(host.partition(".")[0], [])
        if not turns:
            raise OSError("no such name")
        return [ip_address(one) for one in turns[min(self.asked.count(host), len(turns)) - 1]]


def fetcher_for(*entries: str, names: Names | None = None, timeout_s: float = 5.0, **limits: int) -> ImageFetcher:
    return ImageFetcher(AllowList.of(entries), FetchLimits(MAX_BYTES, timeout_s, **limits), names or Names())


async def fetched(
    fetcher: ImageFetcher, url: str, held: HeldBytes, secret: Secret | None = None, in_s: float = 5
) -> bytes:
    return await fetcher.fetch(url, held, asyncio.get_running_loop().time() + in_s, secret)


async def error_of(fetcher: ImageFetcher, url: str, held: HeldBytes, in_s: float = 5) -> ServingError:
    with pytest.raises(ServingError) as raised:
        await fetched(fetcher, url, held, in_s=in_s)
    return raised.value
