"""A door that asks for keys, over the fakes of the door's other tests, and its file of keys."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from deployments.catalogue import ModelState
from deployments.errors import ServingError
from serve_app.access.guard import Access
from serve_app.access.key_ring import KeyRing
from serve_app.access.keys import Key, Scope, digest_of, entry_text, new_key
from serve_app.api import Entrance, create_api
from serve_app.faces.admin.changes import Changed
from serve_app.faces.face import ModelAccess
from serve_app.faces.system.routes import System
from serve_app.known_faces import KNOWN_FACES
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import CountedAnswers, FakeSystem, record


@dataclass
class Clock:
    """A monotonic clock that a test moves."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


def an_entry(name: str, key: str, *scopes: Scope, **limits: Any) -> str:
    return entry_text(Key(name=name, sha256=digest_of(key).hex(), scopes=frozenset(scopes), **limits))


def write(path: Path, *entries: str, mode: int = 0o600) -> None:
    """In one piece, as an editor does; each file has a time of its own."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text("\n".join(entries))
    fresh.chmod(mode)
    os.replace(fresh, path)


def access_for(path: Path) -> tuple[Access, str]:
    """Of a new file with one key, for predictions; and the key."""
    key = new_key()
    write(path, an_entry("someone", key, Scope.PREDICT))
    return Access(KeyRing(path)), key


@dataclass
class FakeChanges:
    """Whoever changes the running system: takes every change, unless there is another outcome for it."""

    system: FakeSystem
    wanted: list[Mapping[str, Any]] = field(default_factory=list)
    outcomes: list[Changed | ServingError] = field(default_factory=list)

    async def __call__(self, wanted: Mapping[str, Any]) -> Changed:
        self.wanted.append(wanted)
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, ServingError):
            raise outcome
        if outcome is not None:
            return outcome
        if "remove" in wanted:
            return Changed(HTTPStatus.ACCEPTED, wanted["remove"])
        self.system.records_now.append(record("new", ModelState.STARTING))
        return Changed(HTTPStatus.ACCEPTED, "new", notes=("image_queue_a stays with other",))


@dataclass
class Guarded:
    """The door, its file, and a key of each kind."""

    folder: Path
    system: FakeSystem
    settings: DoorSettings = field(
        default_factory=lambda: DoorSettings(default_model="benthic-demo", deadline_s=5, faces=KNOWN_FACES)
    )
    clock: Clock = field(default_factory=Clock)
    counted: CountedAnswers = field(default_factory=CountedAnswers)
    doors: int = 1

    def __post_init__(self) -> None:
        self.changes = FakeChanges(self.system)
        self.file = self.folder / "keys.toml"
        self.predict, self.metrics, self.admin = new_key(), new_key(), new_key()
        self.expired, self.revoked, self.wrong = new_key(), new_key(), new_key()
        self.entries = [
            an_entry("predict", self.predict, Scope.PREDICT),
            an_entry("metrics", self.metrics, Scope.METRICS),
            an_entry("admin", self.admin, Scope.ADMIN),
            an_entry("expired", self.expired, Scope.ADMIN, expires=date(2020, 1, 31)),
        ]
        write(self.file, *self.entries, an_entry("revoked", self.revoked, Scope.ADMIN))
        self.ring = KeyRing(self.file, self.clock)

    def revoke(self) -> None:
        """Takes the key `revoked` out of the file; time goes on."""
        write(self.file, *self.entries)
        self.clock.now_s += 5

    def api(self) -> tuple[ASGIApp, Access]:
        """The application, and who may call it."""

        async def metrics_text() -> str:
            return "fathom_requests_total 1\n"

        models = ModelAccess(self.system, self.system.predict, self.system.ask_external, self.system.vectors)
        access = Access(self.ring, lambda: self.doors, self.clock)
        shown = System(self.system, metrics_text, self.folder)
        entrance = Entrance(access=access, change=self.changes)
        return create_api(models, shown, self.settings, self.counted, entrance), access

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        api, _ = self.api()
        transport = httpx.ASGITransport(api, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as http:
            yield http
        if self.system.replica is not None:
            await self.system.replica.close()


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
