"""A repository as `transformers` saves it: the few files of it that a model needs, each in the cache by itself.

    hf/OWNER/REPO/main/config.json
    hf/OWNER/REPO/main/preprocessor_config.json
    hf/OWNER/REPO/main/model.safetensors           or model.safetensors.index.json and the files that it names

Each file is fetched, resumed and checked as any other, and has a record of its own. They belong together: the commit
that the first one came from is asked for the others, whatever the branch points to by then.
"""

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deployments.checkpoints.safetensors_folder import INDEX, MAX_INDEX_BYTES, ONE_FILE, read_index
from deployments.definition import WeightsSource
from deployments.errors import ModelUnavailable
from deployments.weights.cache import CacheEntry, CacheRecord, Progress
from deployments.weights.settings import WeightsSettings
from deployments.weights.weights_uri import InvalidWeightsUri, WeightsUri, parse_uri

CONFIGS = ("config.json", "preprocessor_config.json")
MAX_CONFIG_BYTES = 4 * 2**20
MAX_FOLDER_BYTES = 64 * 2**30
"""Of all weights in one folder."""

NOT_THERE = "not there"

_COMMIT = re.compile(r"^[0-9a-f]{40,64}$")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that is to be in the cache."""

    entry: CacheEntry
    source: WeightsSource

    largest_bytes: int = sys.maxsize
    may_be_missing: bool = False
    """Whether it is no error that the publisher has no such file."""


class EnsureFile(Protocol):
    """Makes sure that a file is in the cache. False: the publisher has no such file, which may be."""

    def __call__(self, wanted: Wanted, progress: Progress) -> bool:
        """Raises ModelUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """One folder in the cache, of which nothing may be there yet."""

    folder: Path
    uri: WeightsUri
    source: WeightsSource

    @property
    def file(self) -> Path:
        """The folder of the model. Other files of the same repository may lie in it."""
        return self.folder / self.uri.key

    @property
    def is_begun(self) -> bool:
        """Whether any of it is there."""
        return any(self.part_named(name).is_begun for name in (*CONFIGS, ONE_FILE, INDEX))

    def parts(self) -> list[CacheEntry]:
        """The files that belong to it, as far as they are known. Raises ModelUnavailable for an index of shards that
        makes no sense."""
        names = [*CONFIGS, self._lead.file.name]
        if names[-1] == INDEX:
            names += sorted(set(read_index(self.file / INDEX).values()))
        return [self.part_named(name) for name in names]

    def part_named(self, name: str, commit: str = "") -> CacheEntry:
        """One of its files. commit: which revision of it to ask for, instead of the one in the URI."""
        owner, repository, revision = self.uri.key.parts[1:]
        address = f"{owner}/{repository}/resolve/{commit or revision}/{name}"
        return CacheEntry(self.folder, WeightsUri(f"{self.uri.text}/{name}", "hf", self.uri.key / name, address))

    def source_of(self, name: str) -> WeightsSource:
        """What is declared of one of its files: of model.safetensors its hash and size, of the others nothing."""
        plain = {} if name == ONE_FILE else {"sha256": None, "size_bytes": None}
        return self.source.model_copy(update={"uri": f"{self.uri.text}/{name}", **plain})

    def record(self) -> CacheRecord | None:
        """What is known about its weights: of the one file, or of the index of several."""
        return self._lead.record()

    def remember_labels(self, labels: tuple[str, ...]) -> None:
        """Keep the class names that were found in it."""
        self._lead.remember_labels(labels)

    def size_bytes(self) -> int:
        """Of all its files that are there."""
        return sum(part.size_bytes() for part in self.parts())

    def reason_by_size(self, source: WeightsSource) -> str:
        """Why it cannot be used, judged by the sizes of its files; '' when it may be."""
        del source
        return self._reason(lambda part, declared: part.reason_by_size(declared))

    def reason(self, source: WeightsSource) -> str:
        """Why it cannot be used; '' when it can. Reads all its files."""
        del source
        return self._reason(lambda part, declared: part.reason(declared))

    def _reason(self, ask: Callable[[CacheEntry, WeightsSource], str]) -> str:
        if not self.is_begun:
            return NOT_THERE
        try:
            parts = self.parts()
        except ModelUnavailable as error:
            return f"damaged: {error.message}"
        for part in parts:
            if reason := ask(part, self.source_of(part.file.name)):
                return f"incomplete: {part.file.name} is {reason}"
        return mixture_of(parts)

    @property
    def _lead(self) -> CacheEntry:
        one, index = self.part_named(ONE_FILE), self.part_named(INDEX)
        return index if index.file.exists() and not one.file.exists() else one


def mixture_of(parts: list[CacheEntry]) -> str:
    """Why these files are not those of one model: some are of another commit than others, as one may be that was
    fetched by itself before. '' when they are, as far as it is known."""
    commits = {record.commit: part for part in parts if (record := part.record()) is not None and record.commit}
    if len(commits) < 2:
        return ""
    told = " and ".join(f"{part.file.name} of {commit[:12]}" for commit, part in sorted(commits.items())[:2])
    return f"a mixture of two commits, {told}: delete {parts[0].file.parent}, so that all are fetched anew"


def entry_of(source: WeightsSource, settings: WeightsSettings) -> CacheEntry | FolderEntry:
    """The entry of `source` in the cache. Raises ModelUnavailable for a URI that is not allowed."""
    try:
        uri = parse_uri(source)
        return FolderEntry(settings.folder, uri, source) if uri.is_folder else CacheEntry(settings.folder, uri)
    except InvalidWeightsUri as error:
        raise ModelUnavailable(f"weights: {error}") from error


def ensure_folder(entry: FolderEntry, ensure_file: EnsureFile, progress: Progress) -> Path:
    """The path of the folder, with all that a model needs of it. Raises ModelUnavailable."""
    commit = ""
    for name in CONFIGS:
        small = Wanted(entry.part_named(name, commit), entry.source_of(name), MAX_CONFIG_BYTES, may_be_missing=True)
        if not ensure_file(small, _silent):
            raise ModelUnavailable(
                f"{entry.uri.shown}: the repository has no {name}, so it is no model as transformers saves it; "
                "to fetch one file of a repository, name it: hf://OWNER/REPO/FILE"
            )
        record = small.entry.record()
        if not commit and record is not None and _COMMIT.match(record.commit):
            commit = record.commit
    one = Wanted(entry.part_named(ONE_FILE, commit), entry.source_of(ONE_FILE), MAX_FOLDER_BYTES, may_be_missing=True)
    if not ensure_file(one, progress):
        _ensure_shards(entry, commit, ensure_file, progress)
    if reason := mixture_of(entry.parts()):
        raise ModelUnavailable(f"{entry.uri.shown}: {reason}")
    return entry.file


def _ensure_shards(entry: FolderEntry, commit: str, ensure_file: EnsureFile, progress: Progress) -> None:
    index = Wanted(entry.part_named(INDEX, commit), entry.source_of(INDEX), MAX_INDEX_BYTES, may_be_missing=True)
    if not ensure_file(index, _silent):
        raise ModelUnavailable(
            f"{entry.uri.shown}: the repository has neither {ONE_FILE} nor {INDEX}; weights in pickles "
            "(pytorch_model.bin) are not read, but `save_pretrained` of transformers writes them as safetensors"
        )
    if entry.source.sha256 is not None or entry.source.size_bytes is not None:
        raise ModelUnavailable(
            f"{entry.uri.shown}: sha256 and size_bytes are those of {ONE_FILE}, but the repository has several "
            "files; give the full commit as revision instead"
        )
    there_bytes = 0
    for name in sorted(set(read_index(index.entry.file).values())):
        shard = Wanted(entry.part_named(name, commit), entry.source_of(name), MAX_FOLDER_BYTES - there_bytes)
        ensure_file(shard, _after(there_bytes, progress))
        there_bytes += shard.entry.size_bytes()


def _after(before_bytes: int, progress: Progress) -> Progress:
    """Tells of one file of several; how large all are together is not known."""
    return lambda now_bytes, _: progress(before_bytes + now_bytes, None)


def _silent(there_bytes: int, all_bytes: int | None) -> None:
    """Small files are there before anybody reads about them."""
