"""A file of keys that changes, breaks, goes away and comes back while the door runs."""

import asyncio
import logging
import os
import threading
from pathlib import Path

import httpx
import pytest

from deployments.logs import OWN_LOGGER
from serve_app.access import key_ring
from serve_app.access.key_ring import KeyRing, read_keys
from serve_app.access.keys import KeyFileError, Keys, Scope, new_key
from tests.serve_app.access.guarded import Clock, Guarded, an_entry, write


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    write(path, an_entry("a", new_key(), Scope.PREDICT))
    return path


async def names(ring: KeyRing) -> set[str]:
    return set((await ring.keys()).names)


async def test_a_change_is_seen_after_a_second_and_not_looked_for_before(file: Path) -> None:
    clock = Clock()
    ring = KeyRing(file, clock)
    write(file, an_entry("b", new_key(), Scope.PREDICT))
    clock.now_s += 0.9
    assert await names(ring) == {"a"}
    clock.now_s += 0.2
    assert await names(ring) == {"b"}


async def test_a_file_that_breaks_takes_no_key_away_and_is_told_of(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, OWN_LOGGER)
    clock = Clock()
    ring = KeyRing(file, clock)
    for change in (lambda: write(file, "nonsense"), lambda: write(file, "nonsense "), file.unlink):
        change()
        clock.now_s += 2
        assert await names(ring) == {"a"}
        assert ring.fault
    write(file, an_entry("b", new_key(), Scope.PREDICT))
    clock.now_s += 2
    assert await names(ring) == {"b"}
    assert ring.fault == ""
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3, "broken, gone, right again"


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_could_change_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(KeyFileError, match="chmod go-w"):
        read_keys(file)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
def test_one_that_others_can_only_read_is_not(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert read_keys(file).names == {"a"}


def test_a_pipe_or_a_folder_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises((KeyFileError, OSError)):
            read_keys(path)


async def test_a_disk_that_hangs_keeps_nobody_waiting_for_long(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_ring, "PATIENCE_S", 0.05)
    clock, is_well = Clock(), threading.Event()
    is_well.set()

    def read(path: Path) -> Keys:
        is_well.wait(20)
        return read_keys(path)

    ring = KeyRing(file, clock, read)
    is_well.clear()
    write(file, an_entry("b", new_key(), Scope.PREDICT))
    clock.now_s += 2
    async with asyncio.timeout(5):
        assert [await names(ring) for _ in range(3)] == [{"a"}] * 3
    is_well.set()
    clock.now_s += 2
    assert await names(ring) == {"b"}


async def test_a_stranger_with_ten_thousand_wrong_keys_changes_nothing(
    door: httpx.AsyncClient, guarded: Guarded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, OWN_LOGGER)
    guard_scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/models",
        "query_string": b"",
        "client": ("6.6.6.6", 1),
    }
    transport = door._transport
    assert isinstance(transport, httpx.ASGITransport)
    statuses = []

    async def send(message: object) -> None:
        assert isinstance(message, dict)
        statuses.extend([message["status"]] if "status" in message else [])

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    for number in range(10_000):
        headers = [(b"authorization", b"Bearer fathom_%d" % number)]
        await transport.app({**guard_scope, "headers": headers}, receive, send)
    assert statuses == [401] * 10_000
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1
    assert (await door.get("/v1/models", headers={"X-API-Key": guarded.predict})).status_code == 200
