"""A model whose replicas do not answer is told as silent, whatever the controller says; one that answers is not."""

import asyncio
from typing import Any

import pytest

from deployments.client import replica_probe
from deployments.client.replica_probe import SILENT_AFTER_S, ReplicaProbe


class Replicas:
    """The replicas of models: which there are, and what each does when it is asked."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.running: dict[str, tuple[str, ...]] = {"coral": ("coral#1", "coral#2")}
        self.fails: dict[str, Exception | None] = {}
        """Name -> what it fails with; None where it never answers."""
        self.asked: list[str] = []
        self.probe = ReplicaProbe(lambda: self.running, self.ask, 1000.0, lambda: self.now_s)

    async def ask(self, name: str) -> None:
        self.asked.append(name)
        if name in self.fails:
            error = self.fails[name]
            if error is None:
                await asyncio.Event().wait()
            else:
                raise error

    async def after(self, seconds: float) -> dict[str, str]:
        """Who is silent so much later, after everybody has been asked once more."""
        self.now_s += seconds
        self.probe.ask_all()
        for _ in range(5):
            await asyncio.sleep(0)
        return self.probe.silent()


async def test_a_model_that_answers_is_never_silent() -> None:
    replicas = Replicas()
    for _ in range(10):
        assert await replicas.after(SILENT_AFTER_S) == {}
    await replicas.probe.stop()


@pytest.mark.parametrize("error", [None, RuntimeError("the batcher is dead"), OSError("connection refused")])
async def test_a_model_none_of_whose_replicas_answers_is_silent_until_one_does(error: Exception | None) -> None:
    replicas = Replicas()
    assert await replicas.after(0) == {}
    replicas.fails = {"coral#1": error, "coral#2": error}
    assert await replicas.after(2) == {}
    assert await replicas.after(SILENT_AFTER_S - 1) == {
        "coral": f"does not answer: none of its replicas has for {SILENT_AFTER_S + 1:.0f} s"
    }
    replicas.running = {"coral": ("coral#3",)}
    assert await replicas.after(1) == {}
    await replicas.probe.stop()


async def test_one_living_replica_is_enough() -> None:
    replicas = Replicas()
    replicas.fails = {"coral#1": None}
    for _ in range(5):
        assert await replicas.after(SILENT_AFTER_S) == {}
    await replicas.probe.stop()


async def test_a_replica_that_hangs_is_not_asked_again_until_it_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica_probe, "SILENT_AFTER_S", 0.05)
    replicas = Replicas()
    replicas.fails = {"coral#1": None}
    for _ in range(5):
        await replicas.after(0)
    assert replicas.asked.count("coral#1") == 1
    assert replicas.asked.count("coral#2") == 5
    async with asyncio.timeout(5):
        while replicas.asked.count("coral#1") == 1:
            await replicas.after(0)
    await replicas.probe.stop()


async def test_a_model_without_replicas_is_the_controllers_business_and_starts_with_its_time_anew() -> None:
    replicas = Replicas()
    replicas.fails = {"coral#1": None, "coral#2": None}
    await replicas.after(0)
    replicas.running = {"coral": ()}
    assert await replicas.after(100) == {}
    replicas.running = {"coral": ("coral#1",)}
    assert await replicas.after(100) == {}
    assert "coral" in await replicas.after(SILENT_AFTER_S + 1)
    await replicas.probe.stop()


async def test_a_probe_that_asks_no_more_is_not_well() -> None:
    replicas = Replicas()
    await replicas.probe.start()
    replicas.probe.check()
    await replicas.probe.stop()
    with pytest.raises(RuntimeError, match="dead"):
        replicas.probe.check()


async def test_an_actor_is_looked_up_by_name_once_and_again_after_it_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up: list[tuple[str, str]] = []
    fails: list[Exception] = []

    class Call:
        async def remote(self) -> None:
            if fails:
                raise fails.pop()

    class Actor:
        check_health = Call()

    def get_actor(name: str, namespace: str) -> Any:
        looked_up.append((name, namespace))
        return Actor()

    monkeypatch.setattr(replica_probe.ray, "get_actor", get_actor)
    ask = replica_probe.ReplicaActors()
    await ask("coral#1")
    await ask("coral#1")
    assert looked_up == [("coral#1", "serve")]
    fails.append(RuntimeError("gone"))
    with pytest.raises(RuntimeError, match="gone"):
        await ask("coral#1")
    await ask("coral#1")
    assert len(looked_up) == 2
