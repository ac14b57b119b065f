"""Many who ask for the metrics cost as much as one."""

import asyncio
import threading

import pytest
from starlette.exceptions import HTTPException

from serve_app.faces.system.cluster_metrics import MAX_AGE_S, ClusterMetrics


class Nodes:
    """A cluster without nodes, asked in whatever thread. answers: set once it may answer."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.answers = threading.Event()

    def urls(self) -> list[str]:
        self.threads.append(threading.get_ident())
        assert self.answers.wait(10)
        return []


async def test_those_who_ask_together_share_one_answer() -> None:
    nodes = Nodes()
    metrics = ClusterMetrics(nodes.urls)
    asking = [asyncio.create_task(metrics.text()) for _ in range(100)]
    await asyncio.sleep(0)
    nodes.answers.set()
    assert await asyncio.gather(*asking) == [""] * 100
    assert len(nodes.threads) == 1


async def test_an_answer_is_given_again_for_a_second() -> None:
    nodes, now_s = Nodes(), [0.0]
    nodes.answers.set()
    metrics = ClusterMetrics(nodes.urls, lambda: now_s[0])
    await metrics.text()
    now_s[0] = MAX_AGE_S / 2
    await metrics.text()
    assert len(nodes.threads) == 1
    now_s[0] = MAX_AGE_S
    await metrics.text()
    assert len(nodes.threads) == 2


async def test_a_client_that_leaves_spoils_nothing_for_the_others() -> None:
    nodes = Nodes()
    metrics = ClusterMetrics(nodes.urls)
    leaving, staying = (asyncio.create_task(metrics.text()) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    nodes.answers.set()
    assert await staying == ""


async def test_a_cluster_that_does_not_answer_does_not_hold_the_event_loop() -> None:
    nodes = Nodes()
    asking = asyncio.create_task(ClusterMetrics(nodes.urls).text())
    await asyncio.sleep(0)
    assert not asking.done(), "the loop goes on while the cluster is asked"
    nodes.answers.set()
    await asking
    assert nodes.threads != [threading.get_ident()]


async def test_nobody_waits_long_for_a_cluster_that_does_not_answer() -> None:
    nodes = Nodes()
    metrics = ClusterMetrics(nodes.urls, patience_s=0.05)
    for _ in range(3):
        with pytest.raises(HTTPException, match="has not said"):
            await metrics.text()
    assert len(nodes.threads) == 1, "each that asks in vain would hold one more thread"
    nodes.answers.set()
