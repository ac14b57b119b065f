"""Who may be in work beside whom, and how many limit and bytes are taken: without Redis."""

import asyncio

import pytest

from redis_bridge.admission.fair_rw_lock import EXCLUSIVE_TIMEOUT_S, FairRWLock
from redis_bridge.admission.limits import ConcurrencyLimit, InFlightBytes
from redis_bridge.store.retry_records import RetryRecord, fingerprint, record_from


async def rounds() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_many_work_together_and_a_trial_waits_for_all_of_them_and_keeps_others_out() -> None:
    lock = FairRWLock()
    await lock.acquire_shared()
    await lock.acquire_shared()
    trial = asyncio.ensure_future(lock.acquire_exclusive())
    late = asyncio.ensure_future(lock.acquire_shared())
    await rounds()
    assert not trial.done()
    assert not late.done()
    lock.release_shared()
    await rounds()
    assert not trial.done()
    lock.release_shared()
    assert await trial
    await rounds()
    assert not late.done()
    lock.downgrade()
    await late
    lock.release_exclusive()


async def test_a_trial_does_not_wait_for_work_that_is_long_in_its_model() -> None:
    lock = FairRWLock()
    await lock.acquire_shared()
    async with asyncio.timeout(5 * EXCLUSIVE_TIMEOUT_S):
        assert await lock.acquire_exclusive()
    lock.downgrade()
    lock.release_exclusive()
    lock.release_shared()


async def test_between_two_trials_all_work_that_waits_has_its_turn() -> None:
    lock = FairRWLock()
    await lock.acquire_exclusive()
    order: list[str] = []

    async def work(name: str) -> None:
        await lock.acquire_shared()
        order.append(name)
        lock.release_shared()

    async def trial(name: str) -> None:
        await lock.acquire_exclusive()
        order.append(name)
        lock.downgrade()
        lock.release_exclusive()

    tasks = [asyncio.ensure_future(each) for each in (work("a"), trial("b"), work("c"), trial("d"))]
    await rounds()
    assert order == []
    lock.downgrade()
    lock.release_exclusive()
    await asyncio.gather(*tasks)
    assert order == ["a", "c", "b", "d"]


async def test_a_job_that_outlasts_its_window_lets_others_in_and_other_trials() -> None:
    lock = FairRWLock()
    await lock.acquire_exclusive()
    other = asyncio.ensure_future(lock.acquire_shared())
    second = asyncio.ensure_future(lock.acquire_exclusive())
    lock.downgrade()
    await other
    lock.release_shared()
    assert await second
    lock.downgrade()
    lock.release_exclusive()
    lock.release_exclusive()


async def test_one_that_is_kept_apart_is_on_trial_while_no_other_is() -> None:
    lock = FairRWLock()
    await lock.acquire_exclusive()
    lock.downgrade()
    apart = asyncio.ensure_future(lock.acquire_exclusive(apart=True))
    behind = asyncio.ensure_future(lock.acquire_exclusive())
    await rounds()
    assert not apart.done()
    await asyncio.wait_for(lock.acquire_shared(), 1)
    lock.release_shared()
    lock.release_exclusive()
    assert await apart
    lock.downgrade()
    await asyncio.wait_for(lock.acquire_shared(), 1)
    lock.release_shared()
    await rounds()
    assert not behind.done()
    lock.release_exclusive()
    assert await behind


@pytest.mark.parametrize("is_admitted", [False, True])
async def test_who_gives_up_waiting_is_in_nobodys_way(is_admitted: bool) -> None:
    lock = FairRWLock()
    await lock.acquire_shared()
    trial = asyncio.ensure_future(lock.acquire_exclusive(apart=True))
    await rounds()
    if is_admitted:
        lock.release_shared()
    trial.cancel()
    await asyncio.wait({trial})
    if not is_admitted:
        lock.release_shared()
    async with asyncio.timeout(1):
        await lock.acquire_shared()
        lock.release_shared()
        await lock.acquire_exclusive(apart=True)


async def test_places_wait_a_moment_for_company_only_while_most_are_taken() -> None:
    limit = ConcurrencyLimit(16)
    assert await limit.wait_for_some(timeout_s=60) == 16
    limit.take(16)
    waiting = asyncio.ensure_future(limit.wait_for_some(timeout_s=60))
    await rounds()
    assert not waiting.done()
    limit.release(1)
    assert await waiting == 1
    company = asyncio.ensure_future(limit.wait_for_some(timeout_s=60))
    await rounds()
    assert not company.done()
    limit.release(3)
    assert await company == 4
    limit.take(3)
    assert await limit.wait_for_some(timeout_s=0.001) == 1
    assert limit.taken == 15


def test_room_is_what_is_left_of_the_budget_and_never_less_than_nothing() -> None:
    budget = InFlightBytes(100)
    budget.change(70)
    assert budget.room_bytes == 30
    budget.change(70)
    assert (budget.room_bytes, budget.held_bytes) == (0, 140)


@pytest.mark.parametrize(
    "record",
    [
        RetryRecord(0, 5.0),
        RetryRecord(3, 1795505981.175, is_suspect=True),
        RetryRecord(3, 1795505981.175, is_suspect=True, is_apart=True),
    ],
)
def test_a_record_is_read_as_it_was_written(record: RetryRecord) -> None:
    assert record_from(record.text().encode()) == record


@pytest.mark.parametrize("text", [None, b"", b"\xff", b"1", b"one 5.0", b"1 5.0 guilty", b"1 5.0 apart"])
def test_anything_else_is_no_record(text: bytes | None) -> None:
    assert record_from(text) is None


def test_jobs_differ_in_their_fingerprints_wherever_their_ids_stand() -> None:
    picture = b"A" * 100_000
    texts: list[bytes | bytearray] = [
        b'{"id":"1","image":"' + picture,
        b'{"id":"2","image":"' + picture,
        picture + b'","id":"1"}',
        picture,
    ]
    texts += [picture + b'","id":"2"}', picture + b"A", bytearray(b"short")]
    assert len({fingerprint(text) for text in texts}) == len(texts)
