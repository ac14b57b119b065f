"""The HTTP client of the weights: its limits, and redirects that are followed only where that is allowed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from deployments.errors import ModelUnavailable
from deployments.logs import keep_quiet
from deployments.weights.answers import refuse_redirect


@dataclass(frozen=True, slots=True)
class TransferSettings:
    """Limits of one transfer."""

    connect_s: float = 10.0
    """How long an attempt waits for a connection."""

    read_s: float = 30.0
    """How long an attempt waits for the next bytes."""

    retry_wait_s: float = 1.0
    """Wait before the second attempt, doubled each time."""

    attempts: int = 3
    """How many attempts in a row may bring nothing."""

    redirects: int = 5
    """How many redirects are followed."""

    largest_bytes: int = 16 * 2**30
    """The largest file."""


def http_client(settings: TransferSettings) -> httpx.Client:
    """A client that follows no redirect by itself and requests bytes without compression.

    Raises ModelUnavailable when the environment names a proxy of a kind that is not supported.
    """
    # They log each address as it is, with its signature.
    keep_quiet("httpx", "httpcore")
    timeout = httpx.Timeout(settings.read_s, connect=settings.connect_s)
    try:
        return httpx.Client(timeout=timeout, follow_redirects=False, headers={"Accept-Encoding": "identity"})
    except (ImportError, ValueError, httpx.InvalidURL):
        # Without the value, in which there may be a password.
        raise ModelUnavailable(
            "the proxy that http_proxy, https_proxy or all_proxy names cannot be used: it must be "
            "http://HOST:PORT or https://HOST:PORT (SOCKS is not supported)"
        ) from None


@contextmanager
def opened(
    client: httpx.Client, url: str, headers: Mapping[str, str], redirects: int
) -> Iterator[tuple[httpx.Response, list[httpx.Response]]]:
    """The answer to GET `url` after at most `redirects` redirects, its body unread, and the answers before it.

    Raises ModelUnavailable for a redirect that is not allowed.
    """
    hops: list[httpx.Response] = []
    while True:
        with client.stream("GET", url, headers=dict(headers)) as response:
            target = response.next_request.url if response.next_request else None
            if target is None:
                yield response, hops
                return
            if len(hops) >= redirects:
                raise ModelUnavailable(f"{httpx.URL(url).host} redirects more than {redirects} times")
            refuse_redirect(response.url, target)
            hops.append(response)
            url = str(target)
