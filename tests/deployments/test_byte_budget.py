"""Memory that many hold at once is bounded, handed out in turn, and never lost."""

import asyncio
import threading
import time

import pytest

from deployments.byte_budget import ByteBudget
from deployments.errors import DeadlineExceeded, ImageTooLarge, Overloaded


def soon_s() -> float:
    return time.monotonic() + 5.0


def test_no_more_is_held_than_the_limit_and_what_is_given_back_is_there_again() -> None:
    budget = ByteBudget(10, "pixels")
    first = budget.try_hold(6)
    assert first is not None
    assert budget.try_hold(5) is None
    with budget.try_hold(4) or pytest.fail("four bytes were free"):
        assert budget.held_bytes == 10
    first.release()
    first.release()
    assert budget.held_bytes == 0


def test_what_never_fits_is_refused_with_the_limit() -> None:
    with pytest.raises(ImageTooLarge, match=r"11 bytes of pixels, the limit is 10"):
        ByteBudget(10, "pixels").try_hold(11)


async def test_those_who_wait_go_on_in_order_and_nobody_overtakes_a_large_one() -> None:
    budget = ByteBudget(10, "pixels")
    held = await budget.hold(8, soon_s())
    order: list[str] = []

    async def wait(name: str, size_bytes: int) -> None:
        with await budget.hold(size_bytes, soon_s()):
            order.append(name)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(wait("large", 9))
        await asyncio.sleep(0)
        tasks.create_task(wait("small", 2))
        await asyncio.sleep(0)
        assert budget.try_hold(1) is None
        threading.Thread(target=held.release).start()
    assert order == ["large", "small"]
    assert budget.held_bytes == 0


async def test_waiting_ends_at_the_deadline_and_holds_nothing() -> None:
    budget = ByteBudget(10, "pixels")
    held = await budget.hold(10, soon_s())
    with pytest.raises(DeadlineExceeded, match=r"10 bytes are held, the limit is 10"):
        await budget.hold(1, time.monotonic())
    held.release()
    assert budget.held_bytes == 0
    assert budget.try_hold(10) is not None


async def test_a_waiting_one_that_is_cancelled_lets_the_next_one_in() -> None:
    budget = ByteBudget(10, "pixels")
    held = await budget.hold(5, soon_s())
    large = asyncio.ensure_future(budget.hold(9, soon_s()))
    await asyncio.sleep(0)
    small = asyncio.ensure_future(budget.hold(5, soon_s()))
    await asyncio.sleep(0)
    large.cancel()
    (await small).release()
    held.release()
    assert budget.held_bytes == 0


async def test_one_that_is_cancelled_when_its_bytes_have_just_come_gives_them_back() -> None:
    budget = ByteBudget(10, "pixels")
    held = await budget.hold(10, soon_s())
    waiting = asyncio.ensure_future(budget.hold(10, soon_s()))
    await asyncio.sleep(0)
    held.release()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert budget.held_bytes == 0


async def test_a_lower_limit_tells_those_who_will_never_fit_and_holds_up_nobody_else() -> None:
    budget = ByteBudget(100, "pixels")
    held = await budget.hold(90, soon_s())
    too_large = asyncio.ensure_future(budget.hold(80, soon_s()))
    await asyncio.sleep(0)
    budget.set_limit(70)
    with pytest.raises(ImageTooLarge, match="80 bytes of pixels, the limit is 70"):
        await too_large
    held.release()
    assert (await budget.hold(10, soon_s())).size_bytes == 10
    assert budget.held_bytes == 10


async def test_a_higher_limit_lets_in_who_waits() -> None:
    budget = ByteBudget(100, "pixels")
    await budget.hold(90, soon_s())
    waiting = asyncio.ensure_future(budget.hold(50, soon_s()))
    await asyncio.sleep(0)
    budget.set_limit(200)
    assert (await waiting).size_bytes == 50


def test_a_holder_that_grows_is_refused_at_the_limit_and_at_what_can_never_be() -> None:
    budget = ByteBudget(10, "uploads")
    with budget.open("a") as first, budget.open("b") as second:
        first.grow(4)
        first.grow(3)
        with pytest.raises(Overloaded, match=r"7 bytes of uploads are held, and 4 more are over the limit 10"):
            second.grow(4)
        with pytest.raises(ImageTooLarge, match=r"11 bytes of uploads, the limit is 10"):
            second.grow(11)
        second.grow(3)
        assert budget.held_bytes == 10
    assert budget.held_bytes == 0


def test_bytes_that_move_to_another_holder_stay_held_until_that_one_ends() -> None:
    budget = ByteBudget(10, "uploads", 8)
    with budget.open("a") as first:
        first.grow(6)
        second = first.moved()
    assert budget.held_bytes == 6
    with budget.open("a") as third, pytest.raises(Overloaded, match="this client holds 6 bytes"):
        third.grow(4)
    second.release()
    assert budget.held_bytes == 0


def test_one_client_has_a_limit_of_its_own_over_all_that_it_holds() -> None:
    budget = ByteBudget(10, "uploads", client_limit_bytes=6)
    with budget.open("a") as first, budget.open("a") as second, budget.open("b") as other:
        first.grow(4)
        with pytest.raises(Overloaded, match=r"holds 4 bytes of uploads, and 3 more are over the limit 6 of one"):
            second.grow(3)
        with pytest.raises(ImageTooLarge, match=r"7 bytes of uploads, the limit is 6"):
            other.grow(7)
        other.grow(6)
        first.release()
        second.grow(4)
        assert budget.held_bytes == 10
    assert budget.held_bytes == 0
