"""Weights are compared with what is declared and what their publisher says of them; a damaged file is not used."""

import hashlib
import json

import pytest

from deployments.definition import WeightsSource
from deployments.errors import ModelUnavailable
from deployments.weights.settings import WeightsSettings
from tests.deployments.weights.fetchers import PATH, SOURCE, entry, fetcher_of, sha256, silent
from tests.deployments.weights.file_server import FileServer


def test_a_wrong_declared_hash_is_refused_and_the_file_thrown_away(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    server.files[PATH] = content
    wrong = SOURCE.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ModelUnavailable, match=f"declared sha256 is {'0' * 64}, .* has {sha256(content)}"):
        fetcher_of(cache, server).ensure(wrong, silent)
    assert entry(cache).reason_by_size(SOURCE) == "not there"


def test_a_wrong_declared_size_is_refused(cache: WeightsSettings, server: FileServer, content: bytes) -> None:
    server.files[PATH] = content
    with pytest.raises(ModelUnavailable, match="the server sends more than 1000 bytes"):
        fetcher_of(cache, server).ensure(SOURCE.model_copy(update={"size_bytes": 1000}), silent)
    longer = SOURCE.model_copy(update={"size_bytes": len(content) + 1})
    with pytest.raises(ModelUnavailable, match=f"ended at {len(content)} of {len(content) + 1} bytes|no more bytes"):
        fetcher_of(cache, server).ensure(longer, silent)
    assert not entry(cache).file.exists()


def test_what_hugging_face_publishes_of_a_large_file_is_checked(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    server.redirects[PATH] = f"{server.url}/store/123"
    server.files["/store/123"] = content
    server.headers[PATH] = {
        "X-Linked-Etag": f'"{sha256(content)}"',
        "X-Linked-Size": str(len(content)),
        "X-Repo-Commit": "f4a839a",
    }
    fetcher_of(cache, server).ensure(SOURCE, silent)
    record = entry(cache).record()
    assert record is not None
    assert (record.sha256_from, record.commit) == ("publisher", "f4a839a")

    entry(cache).file.unlink()
    server.headers[PATH]["X-Linked-Etag"] = f'"{"1" * 64}"'
    with pytest.raises(ModelUnavailable, match=f"published sha256 is {'1' * 64}"):
        fetcher_of(cache, server).ensure(SOURCE, silent)


@pytest.mark.parametrize("is_right", [True, False])
def test_what_zenodo_publishes_is_checked(
    cache: WeightsSettings, server: FileServer, content: bytes, is_right: bool
) -> None:
    source = WeightsSource(uri="doi:10.5281/zenodo.5539915/mbari.pt")
    digest = hashlib.md5(content if is_right else b"").hexdigest()
    about = {"files": [{"key": "mbari.pt", "size": len(content), "checksum": f"md5:{digest}"}]}
    server.files["/api/records/5539915"] = json.dumps(about).encode()
    server.files["/records/5539915/files/mbari.pt"] = content
    fetcher = fetcher_of(cache, server)
    if is_right:
        assert fetcher.ensure(source, silent).read_bytes() == content
        record = entry(cache, source).record()
        assert record is not None
        assert record.sha256_from == "publisher"
    else:
        with pytest.raises(ModelUnavailable, match=f"published md5 is {digest}"):
            fetcher.ensure(source, silent)


def test_a_damaged_file_in_the_cache_is_fetched_again_or_refused(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    server.files[PATH] = content
    path = fetcher_of(cache, server).ensure(SOURCE, silent)
    path.write_bytes(content[:-1] + b"!")
    offline = cache.model_copy(update={"offline": True})
    with pytest.raises(ModelUnavailable, match=r"damaged: its sha256 is .*FATHOM_WEIGHTS_OFFLINE is set"):
        fetcher_of(offline, server).ensure(SOURCE, silent)
    path.write_bytes(content[:-1])
    with pytest.raises(ModelUnavailable, match=f"damaged: {len(content) - 1} bytes, expected {len(content)}"):
        fetcher_of(offline, server).ensure(SOURCE, silent)
    assert fetcher_of(cache, server).ensure(SOURCE, silent).read_bytes() == content
