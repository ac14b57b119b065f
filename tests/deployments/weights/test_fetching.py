"""Weights over a real connection: resumed, fetched once, and never where the network is not to be touched."""

import pytest

from deployments.errors import ModelUnavailable
from deployments.weights.cache import read_record
from deployments.weights.fetch import Fetcher
from deployments.weights.settings import WeightsSettings
from tests.deployments.weights.fetchers import PATH, PATIENT, SOURCE, entry, fetcher_of, sha256, silent
from tests.deployments.weights.file_server import FileServer


def test_a_file_is_fetched_once_and_its_hash_is_recorded_as_seen(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    server.files[PATH] = content
    seen: list[tuple[int, int | None]] = []
    fetcher = fetcher_of(cache, server)
    path = fetcher.ensure(SOURCE, lambda there, total: seen.append((there, total)))
    assert path == cache.folder / "hf/FathomNet/some-model/main/weights/best.pt"
    assert path.read_bytes() == content
    assert seen[-1] == (len(content), len(content))
    record = read_record(entry(cache).record_file)
    assert record is not None
    assert (record.sha256, record.sha256_from, record.size_bytes) == (sha256(content), "first fetch", len(content))
    assert fetcher.ensure(SOURCE, silent) == path
    assert len(server.asked) == 1
    assert sorted(one.name for one in path.parent.iterdir() if one.suffix != ".lock") == [
        "best.pt",
        "best.pt.record.json",
    ]


def test_an_interrupted_transfer_goes_on_where_it_ended(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    server.files[PATH] = content
    server.cut_after_bytes = [300_000, 200_000, len(content)]
    path = fetcher_of(cache, server).ensure(SOURCE, silent)
    assert path.read_bytes() == content
    assert [wanted for _, wanted in server.asked] == ["", "bytes=300000-", "bytes=500000-"]


def test_a_part_left_by_an_earlier_run_is_used(cache: WeightsSettings, server: FileServer, content: bytes) -> None:
    server.files[PATH] = content
    server.cut_after_bytes = [400_000, 0, 0]
    with pytest.raises(ModelUnavailable, match=r"best\.pt could not be fetched.*0\.4 MB are kept"):
        fetcher_of(cache, server).ensure(SOURCE, silent)
    assert entry(cache).reason_by_size(SOURCE) == "fetched in part: 0.4 MB of 1.0 MB"
    server.asked.clear()
    server.cut_after_bytes = []
    assert fetcher_of(cache, server).ensure(SOURCE, silent).read_bytes() == content
    assert server.asked == [(PATH, "bytes=400000-")]


def test_a_part_of_a_file_that_has_changed_since_is_not_used(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    server.files[PATH] = b"old" + content
    server.cut_after_bytes = [400_000, 0, 0]
    with pytest.raises(ModelUnavailable):
        fetcher_of(cache, server).ensure(SOURCE, silent)
    server.cut_after_bytes = []
    server.files[PATH] = content
    assert fetcher_of(cache, server).ensure(SOURCE, silent).read_bytes() == content


def test_a_server_without_ranges_is_asked_from_the_start(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    server.files[PATH] = content
    server.knows_ranges = False
    server.cut_after_bytes = [300_000]
    assert fetcher_of(cache, server).ensure(SOURCE, silent).read_bytes() == content


def test_offline_the_network_is_never_touched(cache: WeightsSettings, server: FileServer, content: bytes) -> None:
    server.files[PATH] = content
    offline = cache.model_copy(update={"offline": True})
    with pytest.raises(ModelUnavailable, match=r"are not there, and FATHOM_WEIGHTS_OFFLINE is set"):
        fetcher_of(offline, server).ensure(SOURCE, silent)
    assert server.asked == []
    entry(cache).file.parent.mkdir(parents=True)
    entry(cache).file.write_bytes(content)
    assert fetcher_of(offline, server).ensure(SOURCE, silent).read_bytes() == content
    assert server.asked == []


def test_a_mirror_stands_in_for_the_internet(cache: WeightsSettings, server: FileServer, content: bytes) -> None:
    key = "/zoo/hf/FathomNet/some-model/main/weights/best.pt"
    server.files[key] = content
    mirrored = WeightsSettings(dir=cache.dir, mirror=f"{server.url}/zoo/")
    assert Fetcher(mirrored, PATIENT).ensure(SOURCE, silent).read_bytes() == content
    assert [path for path, _ in server.asked] == [f"{key}.record.json", key]

    server.files[f"{key}.record.json"] = entry(cache).record_file.read_bytes()
    server.files[key] = content[:-1] + b"!"
    entry(cache).file.unlink()
    with pytest.raises(ModelUnavailable, match="published sha256"):
        Fetcher(mirrored, PATIENT).ensure(SOURCE, silent)
