"""The commands of `python -m deployments.weights`, one function each, which returns an exit status."""

import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deployments.errors import ModelUnavailable
from deployments.process.shown_address import shown_address
from deployments.weights.cache import CacheEntry, Progress, digest_of, megabytes
from deployments.weights.catalogue import CatalogueModel
from deployments.weights.fetch import Fetcher
from deployments.weights.folders import entry_of
from deployments.weights.settings import WeightsSettings

Models = Iterable[CatalogueModel]


class Terminal(Protocol):
    """Where a person reads."""

    def say(self, text: str) -> None:
        """One or more lines."""
        ...

    def progress(self, name: str) -> AbstractContextManager[Progress]:
        """A progress bar for the model `name`."""
        ...


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands on one cache."""

    settings: WeightsSettings
    terminal: Terminal
    make_fetcher: Callable[[WeightsSettings], Fetcher] = Fetcher

    def fetch(self, models: Models) -> int:
        """Bring the weights of `models` into the cache; those that fail do not stop the others."""
        fetcher = self.make_fetcher(self.settings)
        failed = 0
        for model in models:
            if model.source is None:
                continue
            try:
                with self.terminal.progress(model.name) as progress:
                    path = fetcher.ensure(model.source, progress)
                self.terminal.say(f"{model.name}: {path}")
            except ModelUnavailable as error:
                failed += 1
                self.terminal.say(f"{model.name}: FAILED: {error.message}")
        return 1 if failed else 0

    def show(self, models: Models) -> int:
        """Show what is in the cache of each model, and what is not known about it."""
        self.terminal.say(f"cache: {self.settings.folder}{' (offline)' if self.settings.offline else ''}")
        for model in models:
            self.terminal.say("\n".join(self._described(model)))
        return 0

    def verify(self, models: Models) -> int:
        """Read every cached file and compare it with what it should be; 1 when one is damaged or incomplete."""
        bad = 0
        for model in models:
            if model.source is None:
                continue
            entry = entry_of(model.source, self.settings)
            reason = entry.reason(model.source)
            bad += bool(reason) and entry.is_begun
            self.terminal.say(f"{model.name}: {reason or 'good'}")
        return 1 if bad else 0

    def export(self, models: Models, folder: Path) -> int:
        """Copy what is in the cache, checked, into `folder`: a cache of its own, which can be a mirror."""
        target = self.settings.model_copy(update={"dir": folder})
        if target.folder == self.settings.folder:
            self.terminal.say(f"{folder} is the cache itself; name another folder")
            return 1
        failed = 0
        for model in models:
            try:
                self.terminal.say(f"{model.name}: {_exported(model, self.settings, target)}")
            except (ModelUnavailable, OSError) as error:
                failed += 1
                self.terminal.say(f"{model.name}: FAILED: {error}")
        return 1 if failed else 0

    def _described(self, model: CatalogueModel) -> list[str]:
        lines = [model.name]
        if model.definition is not None and model.source is not None:
            entry = entry_of(model.source, self.settings)
            reason, record = entry.reason_by_size(model.source), entry.record()
            size_bytes = model.source.size_bytes
            state = f"{reason}, {megabytes(size_bytes)}" if reason and size_bytes else reason
            state = state or f"in the cache, {megabytes(entry.size_bytes())}"
            if record is not None and not reason:
                state += f", sha256 {record.sha256} ({_voucher(record.sha256_from)})"
            labels = model.definition.labels or (record.labels if record else None)
            lines += [
                f"    model    {model.definition.description or 'no description'}",
                f"    family   {model.definition.family}, input {_input(model.definition.canvas_px)}",
                f"    weights  {shown_address(model.source.uri)}",
                f"    state    {state}",
                f"    labels   {len(labels) if labels else 'unknown until loaded'}",
                f"    licence  {model.definition.licence or 'not stated'}",
            ]
        if model.missing:
            lines.append(f"    incomplete: {'; '.join(model.missing)}")
        return lines


def _input(canvas_px: tuple[int, int] | None) -> str:
    return f"{canvas_px[1]} x {canvas_px[0]} px" if canvas_px else "as large as in training"


def _voucher(origin: str) -> str:
    return {
        "declared": "declared in the catalogue",
        "publisher": "checked against the publisher's server",
        "first fetch": "as seen at the first fetch; nobody vouches for it",
    }[origin]


def _exported(model: CatalogueModel, settings: WeightsSettings, target: WeightsSettings) -> str:
    assert model.source is not None
    source, copy = entry_of(model.source, settings), entry_of(model.source, target)
    reason = source.reason(model.source)
    if reason == "not there":
        return "not in the cache, left out"
    if reason:
        raise ModelUnavailable(reason)
    for part in source.parts():
        _copy(part, CacheEntry(target.folder, part.uri))
    return str(copy.file)


def _copy(source: CacheEntry, copy: CacheEntry) -> None:
    record = source.record()
    copy.file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source.file, copy.part)
    if record is not None and digest_of(copy.part) != record.sha256:
        copy.part.unlink()
        raise ModelUnavailable(f"the copy in {copy.file.parent} is not what was read; is that disk sound?")
    if source.record_file.exists():
        shutil.copyfile(source.record_file, copy.record_file)
    copy.part.replace(copy.file)
