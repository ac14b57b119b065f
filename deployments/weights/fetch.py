"""Makes sure that weights are in the cache: from the network, from a mirror or from a disk, one writer at a time.

The size and hash of a file are checked before it is used. Everything raises ModelUnavailable, with a message for
people, and nothing else.

Why neither `huggingface-hub` nor `pooch`: `huggingface-hub` serves one of the four kinds of source, compares sizes
but no hashes, and keeps links into a store of blobs, while this cache must survive a copy to any disk and serve as a
plain web mirror. `pooch` starts a broken download from the beginning, which a ship's line cannot afford.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
from filelock import FileLock, Timeout

from deployments.definition import WeightsSource
from deployments.errors import ModelUnavailable
from deployments.logs import OWN_LOGGER
from deployments.weights.answers import HEAD_BYTES, refuse_page
from deployments.weights.cache import MAX_RECORD_BYTES, CacheEntry, DigestOrigin, Progress, digest_of
from deployments.weights.folders import FolderEntry, Wanted, ensure_folder, entry_of
from deployments.weights.http_client import TransferSettings, http_client, opened
from deployments.weights.publishers import Publishers, learn_from_mirror, learn_from_zenodo
from deployments.weights.settings import WeightsSettings
from deployments.weights.transfer import FileTransfer, Published
from deployments.weights.weights_uri import WeightsUri

logger = logging.getLogger(OWN_LOGGER)

LOCK_TIMEOUT_S = 3600.0
"""How long one writer waits for another, which may fetch hundreds of megabytes over a slow line."""


class Fetcher:
    """Fetches weights into one cache."""

    def __init__(
        self,
        settings: WeightsSettings,
        transfer: TransferSettings | None = None,
        publishers: Publishers | None = None,
        lock_timeout_s: float = LOCK_TIMEOUT_S,
    ) -> None:
        self._settings = settings
        self._transfer = transfer or TransferSettings()
        self._publishers = publishers or Publishers()
        self._lock_timeout_s = lock_timeout_s

    def ensure(self, source: WeightsSource, progress: Progress) -> Path:
        """The path of the weights of `source`, complete and checked; fetched when they are not there."""
        entry = entry_of(source, self._settings)
        if isinstance(entry, FolderEntry):
            if self._settings.offline and (reason := entry.reason(source)):
                raise ModelUnavailable(_offline_text(entry, reason))
            return ensure_folder(entry, self.ensure_file, progress)
        self.ensure_file(Wanted(entry, source), progress)
        return entry.file

    def ensure_file(self, wanted: Wanted, progress: Progress) -> bool:
        """Make sure that one file is in the cache. False: the publisher has no such file, which `wanted` allows."""
        entry, source = wanted.entry, wanted.source
        reason = entry.reason(source)
        if not reason:
            return True
        if self._settings.offline and entry.uri.needs_network:
            raise ModelUnavailable(_offline_text(entry, reason))
        with self._only_writer(entry):
            # Another writer may have been faster.
            return not entry.reason(source) or self._fetch(wanted, progress)

    def _fetch(self, wanted: Wanted, progress: Progress) -> bool:
        entry, source = wanted.entry, wanted.source
        published = Published(size_bytes=source.size_bytes)
        if entry.uri.scheme == "file":
            _copy(entry, progress)
        else:
            limits = replace(self._transfer, largest_bytes=min(wanted.largest_bytes, self._transfer.largest_bytes))
            url = self._url(entry.uri, published)
            try:
                FileTransfer(entry.file.name, entry.part, limits, published).run(url, progress)
            except ModelUnavailable:
                if published.is_missing and wanted.may_be_missing:
                    return False
                raise
        sha256, origin = _checked(entry, source, published)
        entry.note(sha256, origin, published.commit, entry.part.stat().st_size)
        os.replace(entry.part, entry.file)
        return True

    def _url(self, uri: WeightsUri, published: Published) -> str:
        """The address to fetch from. Puts into `published` what the publisher says about the file beforehand."""
        if self._settings.mirror is not None:
            url = f"{self._settings.mirror}/{uri.key}"
            learn_from_mirror(self._small(f"{url}.record.json"), published)
            return url
        if uri.scheme == "hf":
            return f"{self._publishers.hugging_face}/{uri.address}"
        if uri.scheme == "doi":
            record, _, name = uri.address.partition("/")
            base = self._publishers.zenodo
            learn_from_zenodo(self._small(f"{base}/api/records/{record}"), name, published)
            return f"{base}/records/{record}/files/{name}?download=1"
        return uri.address

    def _small(self, url: str) -> bytes | None:
        """The body of a small answer; None when there is none. The transfer itself reports a dead connection."""
        body = b""
        with (
            contextlib.suppress(httpx.HTTPError),
            http_client(self._transfer) as client,
            opened(client, url, {}, self._transfer.redirects) as (response, _),
        ):
            if response.status_code != httpx.codes.OK:
                return None
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_RECORD_BYTES:
                    return None
            return body
        return None

    @contextmanager
    def _only_writer(self, entry: CacheEntry) -> Iterator[None]:
        """Hold the lock of the entry: between processes, and between machines where the file system can."""
        try:
            entry.file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(entry.beside(".lock"), timeout=self._lock_timeout_s)
            lock.acquire()
        except Timeout:
            raise ModelUnavailable(
                f"{entry.file.name} has been locked by another process for more than {self._lock_timeout_s:g} s"
            ) from None
        except OSError as error:
            raise ModelUnavailable(f"the cache folder {entry.folder} cannot be written: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()


def _offline_text(entry: CacheEntry | FolderEntry, reason: str) -> str:
    return f"the weights {entry.uri.shown} are {reason}, and FATHOM_WEIGHTS_OFFLINE is set; cache: {entry.folder}"


def _copy(entry: CacheEntry, progress: Progress) -> None:
    origin = Path(entry.uri.address)
    if not origin.is_file():
        raise ModelUnavailable(f"the weights {origin} are missing, or not a plain file")
    try:
        with origin.open("rb") as source, entry.part.open("wb") as target:
            shutil.copyfileobj(source, target, 2**20)
            target.flush()
            os.fsync(target.fileno())
    except OSError as error:
        raise ModelUnavailable(f"{origin} could not be copied to {entry.part.parent}: {error.strerror}") from error
    size_bytes = entry.part.stat().st_size
    if size_bytes != origin.stat().st_size:
        raise ModelUnavailable(f"{origin} changed while it was copied; try again")
    progress(size_bytes, size_bytes)


def _checked(entry: CacheEntry, source: WeightsSource, published: Published) -> tuple[str, DigestOrigin]:
    """The SHA-256 of the part file and who vouches for it. Deletes a file that is the wrong one, or that may be cut
    short, and raises ModelUnavailable."""
    size_bytes = entry.part.stat().st_size
    try:
        _refuse_incomplete(entry, source, published)
    except ModelUnavailable:
        entry.part.unlink(missing_ok=True)
        raise
    found = {"sha256": digest_of(entry.part)}
    expected = [("size in bytes", str(size_bytes), str(source.size_bytes or published.size_bytes or size_bytes))]
    for algorithm, digest in published.digests.items():
        found.setdefault(algorithm, digest_of(entry.part, algorithm))
        expected.append((f"published {algorithm}", found[algorithm], digest))
    if source.sha256 is not None:
        expected.append(("declared sha256", found["sha256"], source.sha256))
    for what, actual, wanted in expected:
        if actual != wanted:
            entry.part.unlink(missing_ok=True)
            raise ModelUnavailable(
                f"{entry.uri.shown}: the {what} is {wanted}, but the fetched file has {actual}; it was deleted"
            )
    return found["sha256"], "declared" if source.sha256 else published.origin if published.digests else "first fetch"


def _refuse_incomplete(entry: CacheEntry, source: WeightsSource, published: Published) -> None:
    """Raise ModelUnavailable for a file that cannot be whole, or cannot be known to be."""
    with entry.part.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head:
        raise ModelUnavailable(f"{entry.uri.shown}: the fetched file is empty")
    refuse_page(entry.file.name, entry.uri.shown, head)
    if not published.has_known_end and source.sha256 is None and not published.digests:
        raise ModelUnavailable(
            f"{entry.uri.shown}: {entry.part.stat().st_size} bytes came before the connection ended; the server "
            "does not say how large the file is, so it may be cut short: give its sha256 or size_bytes in the "
            "definition"
        )
