"""A fetcher against the web server of the test, and the file that it fetches."""

import hashlib

from deployments.definition import WeightsSource
from deployments.weights.cache import CacheEntry
from deployments.weights.fetch import Fetcher, Publishers
from deployments.weights.folders import entry_of
from deployments.weights.http_client import TransferSettings
from deployments.weights.settings import WeightsSettings
from tests.deployments.weights.file_server import FileServer

PATIENT = TransferSettings(connect_s=2, read_s=5, retry_wait_s=0.0, attempts=2)
SOURCE = WeightsSource(uri="hf://FathomNet/some-model/weights/best.pt")
PATH = "/FathomNet/some-model/resolve/main/weights/best.pt"


def silent(there_bytes: int, all_bytes: int | None) -> None:
    """Tells nobody."""


def fetcher_of(cache: WeightsSettings, server: FileServer, lock_timeout_s: float = 30.0) -> Fetcher:
    return Fetcher(cache, PATIENT, Publishers(server.url, server.url), lock_timeout_s)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(cache: WeightsSettings, source: WeightsSource = SOURCE) -> CacheEntry:
    return entry_of(source, cache)
