"""Limits of a key: requests per second, and under way; in one door and in several."""

import asyncio

import httpx
import pytest

from deployments.prediction import Outcome
from serve_app.access.allowances import Allowance, Refused
from serve_app.access.guard import Access
from serve_app.access.keys import Key, Scope, new_key
from tests.serve_app.access.guarded import Guarded, an_entry, write
from tests.serve_app.uploads import picture


def key(**limits: float) -> Key:
    return Key.model_validate({"name": "a", "sha256": "0" * 64, "scopes": [Scope.PREDICT], **limits})


def granted(allowances: list[Allowance], limits: Key, seconds: float, per_s: int) -> int:
    """How many of `per_s` requests each second, each to the next door and ended at once, are let in."""
    count = 0
    for number in range(int(seconds * per_s)):
        door = allowances[number % len(allowances)]
        if door.take(limits, len(allowances), 50 + number / per_s) is None:
            door.end()
            count += 1
    return count


@pytest.mark.parametrize("doors", [1, 2, 3, 8])
@pytest.mark.parametrize(("rate", "burst"), [(10, 10), (2, 1), (0.5, 4), (100, 200)])
def test_a_rate_holds_over_all_doors(doors: int, rate: float, burst: int) -> None:
    limits = key(requests_per_s=rate, burst=burst)
    count = granted([Allowance() for _ in range(doors)], limits, seconds=20, per_s=400)
    assert burst + rate * 20 - doors - 1 <= count <= burst + rate * 20 + doors - 1


@pytest.mark.parametrize("doors", [1, 2, 3])
@pytest.mark.parametrize("most", [1, 2, 5])
def test_requests_under_way_are_limited_over_all_doors(doors: int, most: int) -> None:
    allowances = [Allowance() for _ in range(doors)]
    limits = key(concurrency=most)
    let_in = sum(allowances[number % doors].take(limits, doors, 0) is None for number in range(50))
    assert most <= let_in <= most + doors - 1
    allowances[0].end()
    assert allowances[0].take(limits, doors, 0) is None


def test_who_is_refused_is_told_when_to_come_back() -> None:
    limits, allowance = key(requests_per_s=0.1), Allowance()
    assert allowance.take(limits, 1, 100) is None
    refused = allowance.take(limits, 1, 101)
    assert isinstance(refused, Refused)
    assert refused.retry_after_s == 9
    assert allowance.take(limits, 1, 101 + refused.retry_after_s) is None


def test_a_refused_request_takes_nothing() -> None:
    limits, allowance = key(requests_per_s=1, concurrency=1), Allowance()
    assert allowance.take(limits, 1, 0) is None
    for _ in range(100):
        assert isinstance(allowance.take(limits, 1, 10), Refused)
    assert allowance.under_way == 1


async def test_over_http_a_limit_is_429_with_retry_after(door: httpx.AsyncClient, guarded: Guarded) -> None:
    slow = new_key()
    write(guarded.file, *guarded.entries, an_entry("slow", slow, Scope.PREDICT, requests_per_s=1))
    guarded.clock.now_s += 5
    headers = {"X-API-Key": slow}
    assert (await door.get("/v1/models", headers=headers)).status_code == 200
    refused = await door.post("/predictor/", headers=headers)
    assert (refused.status_code, refused.headers["retry-after"], refused.json()["code"]) == (429, "1", "key-limit")
    assert refused.json()["success"] is False
    assert (await door.get("/health/live", headers=headers)).status_code == 200, "what is open is not limited"
    assert (await door.get("/v1/models", headers={"X-API-Key": guarded.predict})).status_code == 200
    guarded.clock.now_s += 1
    assert (await door.get("/v1/models", headers=headers)).status_code == 200


async def test_a_request_counts_until_it_is_answered_and_also_when_its_client_leaves(
    door: httpx.AsyncClient, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = new_key()
    write(guarded.file, *guarded.entries, an_entry("single", single, Scope.PREDICT, concurrency=1))
    guarded.clock.now_s += 5
    asked, answer = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> list[Outcome]:
        asked.set()
        await answer.wait()
        raise AssertionError("its client has left")

    monkeypatch.setattr(guarded.system, "replica", None)
    waiting = type("Waiting", (), {"predict": wait, "close": answer_nothing})()
    guarded.system.replica = waiting
    headers = {"X-API-Key": single}
    upload = asyncio.create_task(door.post("/predictor/", headers=headers, files={"file": picture()}))
    await asyncio.wait_for(asked.wait(), 5)
    assert (await door.get("/v1/models", headers=headers)).status_code == 429
    upload.cancel()
    await asyncio.gather(upload, return_exceptions=True)
    assert (await door.get("/v1/models", headers=headers)).status_code == 200


async def answer_nothing(*_: object) -> None:
    """Closes what was never open."""


async def test_a_key_that_is_revoked_under_way_and_comes_back_has_its_limits(guarded: Guarded) -> None:
    access = Access(guarded.ring, clock=guarded.clock)
    single = an_entry("single", new_key(), Scope.PREDICT, concurrency=1)
    limits = key(concurrency=1)
    write(guarded.file, *guarded.entries, single)
    guarded.clock.now_s += 5
    await access.keys()
    begun = access.begin(limits)
    assert isinstance(begun, Allowance)
    assert isinstance(access.begin(limits), Refused)
    write(guarded.file)
    guarded.clock.now_s += 5
    await access.keys()
    begun.end()
    assert isinstance(access.begin(limits), Allowance)
    assert isinstance(access.begin(limits), Refused)
