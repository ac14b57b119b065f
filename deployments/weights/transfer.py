"""Brings one file over HTTP into a part file. A later attempt continues where an earlier one ended.

Why not the downloads of `huggingface-hub` or `pooch`: neither refuses a redirect to plain http or to an inner
address, nor a body beyond a bound, so redirects are followed and bytes are counted here.
"""

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import httpx

from deployments.errors import ModelUnavailable
from deployments.logs import OWN_LOGGER
from deployments.process.shown_address import shown_text
from deployments.weights.answers import HEAD_BYTES, has_changed, has_known_end, refuse_page
from deployments.weights.cache import DigestOrigin, Progress, megabytes, size_of, write_atomically
from deployments.weights.http_client import TransferSettings, http_client, opened

logger = logging.getLogger(OWN_LOGGER)

_SHA256 = re.compile(r'^"?([0-9a-f]{64})"?$')
_RANGE = re.compile(r"^bytes (\d+)-\d+/(\d+)$")

_PASSING = (429, 500, 502, 503, 504)
"""Statuses of a server that may recover in a moment."""


@dataclass(slots=True)
class Published:
    """What the publisher says about a file."""

    size_bytes: int | None = None
    """Its size; None when unknown."""

    digests: dict[str, str] = field(default_factory=dict)
    """Name of an algorithm -> hexadecimal digest."""

    origin: DigestOrigin = "publisher"
    """Who vouches for the digests. A mirror only passes them on."""

    commit: str = ""
    """The publisher's revision."""

    is_missing: bool = False
    """Whether the server has said that it has no such file."""

    has_known_end: bool = True
    """Whether a file that was cut short would have been noticed."""


class _Interrupted(Exception):
    """The connection ended early; trying again may help."""


class FileTransfer:
    """The transfer of one file."""

    def __init__(self, name: str, part: Path, settings: TransferSettings, published: Published) -> None:
        self._name = name
        self._part = part
        self._notes = part.with_name(part.name + ".json")
        self._settings = settings
        self.published = published
        # What was known before the first attempt: between two attempts the file may be replaced by another.
        self._known = replace(published, digests=dict(published.digests))

    def run(self, url: str, progress: Progress) -> None:
        """Fetch `url` until the part file is complete. Raises ModelUnavailable with the reason, and keeps what has
        been fetched by then."""
        self._part.parent.mkdir(parents=True, exist_ok=True)
        fruitless = 0
        with http_client(self._settings) as client:
            while True:
                before_bytes = size_of(self._part) or 0
                try:
                    self._attempt(client, url, progress)
                    break
                except _Interrupted as error:
                    fruitless = 1 if (size_of(self._part) or 0) > before_bytes else fruitless + 1
                    if fruitless >= self._settings.attempts:
                        raise self._failed(url, str(error)) from None
                    logger.info("%s: %s; trying again", self._name, error)
                    time.sleep(self._settings.retry_wait_s * 2 ** (fruitless - 1))
        self._notes.unlink(missing_ok=True)

    def _attempt(self, client: httpx.Client, url: str, progress: Progress) -> None:
        offset_bytes, validator = self._resumable()
        self.published.size_bytes, self.published.digests = self._known.size_bytes, dict(self._known.digests)
        headers = {"Range": f"bytes={offset_bytes}-", "If-Range": validator} if offset_bytes else {}
        try:
            with opened(client, url, headers, self._settings.redirects) as (response, hops):
                self._learn([*hops, response])
                if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                    self._part.unlink(missing_ok=True)
                    raise _Interrupted("the server has no more bytes than were fetched; starting again")
                if response.status_code in _PASSING:
                    raise _Interrupted(f"answered {response.status_code}")
                if response.status_code == httpx.codes.PARTIAL_CONTENT and has_changed(response, validator):
                    self._part.unlink(missing_ok=True)
                    raise _Interrupted("the file on the server has changed; starting again")
                offset_bytes = self._start_of(response, offset_bytes)
                self._note(response)
                self._receive(response, offset_bytes, progress)
        except httpx.TransportError as error:
            raise _Interrupted(shown_text(f"{type(error).__name__}: {error}".rstrip(": "))) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Without the error itself, whose text may repeat the address.
            raise self._failed(url, shown_text(str(error))) from None

    def _resumable(self) -> tuple[int, str]:
        """How much of the part file can be kept, and the validator that proves that the file is still the same."""
        with contextlib.suppress(OSError, ValueError):
            validator = json.loads(self._notes.read_text(encoding="utf-8"))["validator"]
            if isinstance(validator, str) and validator:
                return size_of(self._part) or 0, validator
        return 0, ""

    def _start_of(self, response: httpx.Response, offset_bytes: int) -> int:
        """Where the body of `response` begins in the file."""
        if response.headers.get("content-encoding", "identity") != "identity":
            raise ModelUnavailable(
                f"{self._name}: {response.url.host} sends it in an encoding that was not requested"
            )
        if response.status_code == httpx.codes.OK:
            length = response.headers.get("content-length", "")
            if self.published.size_bytes is None and length.isdecimal():
                self.published.size_bytes = int(length)
            return 0
        match = _RANGE.match(response.headers.get("content-range", ""))
        if response.status_code != httpx.codes.PARTIAL_CONTENT or match is None or int(match[1]) != offset_bytes:
            host = response.url.host
            self.published.is_missing = response.status_code == httpx.codes.NOT_FOUND
            raise ModelUnavailable(f"{self._name} could not be fetched: {host} answered {response.status_code}")
        if self.published.size_bytes is None:
            self.published.size_bytes = int(match[2])
        return offset_bytes

    def _receive(self, response: httpx.Response, offset_bytes: int, progress: Progress) -> None:
        total_bytes = self.published.size_bytes
        most_bytes = min(total_bytes or self._settings.largest_bytes, self._settings.largest_bytes)
        self._check_space(most_bytes - offset_bytes if total_bytes else 0)
        received_bytes = offset_bytes
        self.published.has_known_end = total_bytes is not None or has_known_end(response)
        with _full_disk_refused(self._name, self._part), self._part.open("r+b" if offset_bytes else "wb") as file:
            file.seek(offset_bytes)
            # As it arrives: what httpx gathers into larger pieces would be lost when the connection ends.
            for chunk in response.iter_raw():
                if received_bytes == 0:
                    refuse_page(self._name, response.url.host, chunk[:HEAD_BYTES])
                received_bytes += len(chunk)
                if received_bytes > most_bytes:
                    raise ModelUnavailable(f"{self._name}: the server sends more than {most_bytes} bytes")
                file.write(chunk)
                file.flush()
                progress(received_bytes, total_bytes)
            _to_disk(file)
        if total_bytes is not None and received_bytes < total_bytes:
            raise _Interrupted(f"ended at {received_bytes} of {total_bytes} bytes")

    def _learn(self, responses: list[httpx.Response]) -> None:
        """What Hugging Face says about a file of its large-file store, in headers of the answer that redirects."""
        for response in responses:
            digest = _SHA256.match(response.headers.get("x-linked-etag", ""))
            if digest:
                self.published.digests.setdefault("sha256", digest[1])
            size = response.headers.get("x-linked-size", "")
            if self.published.size_bytes is None and size.isdecimal():
                self.published.size_bytes = int(size)
            self.published.commit = self.published.commit or response.headers.get("x-repo-commit", "")[:64]

    def _note(self, response: httpx.Response) -> None:
        etag = response.headers.get("etag", "")
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("last-modified", "")
        notes = {"validator": validator, "size_bytes": self.published.size_bytes}
        with _full_disk_refused(self._name, self._part):
            write_atomically(self._notes, json.dumps(notes).encode())

    def _check_space(self, missing_bytes: int) -> None:
        free_bytes = shutil.disk_usage(self._part.parent).free
        if missing_bytes > free_bytes:
            raise ModelUnavailable(
                f"{self._name} needs {megabytes(missing_bytes)} more, "
                f"but {self._part.parent} has {megabytes(free_bytes)} left"
            )

    def _failed(self, url: str, reason: str) -> ModelUnavailable:
        fetched_bytes = size_of(self._part) or 0
        kept = f"; {megabytes(fetched_bytes)} are kept for the next attempt" if fetched_bytes else ""
        return ModelUnavailable(f"{self._name} could not be fetched from {httpx.URL(url).host}: {reason}{kept}")


@contextmanager
def _full_disk_refused(name: str, part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        reason = f"no space is left in {part.parent}" if full else f"{part.parent}: {error.strerror}"
        raise ModelUnavailable(f"{name} could not be stored: {reason}") from error


def _to_disk(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
