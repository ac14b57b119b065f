"""Weights over a real connection: resumed, checked, alone, and never where the network is not to be touched."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deployments.definition import WeightsSource
from deployments.errors import ModelUnavailable
from deployments.weights.cache import CacheEntry, read_record
from deployments.weights.fetch import Fetcher, Publishers, entry_of
from deployments.weights.http_client import TransferSettings
from deployments.weights.settings import WeightsSettings
from tests.deployments.weights.file_server import FileServer, file_server

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


def test_two_fetchers_at_once_fetch_once(cache: WeightsSettings, server: FileServer, content: bytes) -> None:
    server.files[PATH] = content
    server.gate.clear()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(fetcher_of(cache, server).ensure, SOURCE, silent)
        second = threads.submit(fetcher_of(cache, server).ensure, SOURCE, silent)
        server.gate.set()
        assert first.result(20) == second.result(20)
    assert [path for path, _ in server.asked] == [PATH]


def test_a_second_process_waits_for_the_first_and_says_so_when_it_gives_up(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    lock = entry(cache).beside(".lock")
    lock.parent.mkdir(parents=True)
    script = (
        "import sys, filelock as f; held = f.FileLock(sys.argv[1]); held.acquire(); print(1, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "1\n"
        server.files[PATH] = content
        with pytest.raises(ModelUnavailable, match=r"has been locked by another process for more than 0\.2 s"):
            fetcher_of(cache, server, lock_timeout_s=0.2).ensure(SOURCE, silent)
        assert server.asked == []
        holder.send_signal(signal.SIGKILL)
    # The lock of a process that died holds nobody up.
    assert fetcher_of(cache, server).ensure(SOURCE, silent).read_bytes() == content


def test_a_full_disk_is_told_and_the_part_stays(cache: WeightsSettings, server: FileServer, content: bytes) -> None:
    server.files[PATH] = content
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(ModelUnavailable, match=r"best\.pt could not be stored: no space is left in"):
            fetcher_of(cache, server).ensure(SOURCE, silent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not entry(cache).file.exists()
    assert fetcher_of(cache, server).ensure(SOURCE, silent).read_bytes() == content
    assert server.asked[-1][1].startswith("bytes=")


def test_a_file_that_cannot_fit_is_refused_before_a_byte_is_written(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    server.files[PATH] = content
    server.headers[PATH] = {"X-Linked-Size": str(10**15)}
    with pytest.raises(ModelUnavailable, match=r"best\.pt needs \d+\.\d MB more, but .* has"):
        Fetcher(cache, TransferSettings(attempts=1, largest_bytes=10**16), Publishers(server.url, server.url)).ensure(
            SOURCE, silent
        )
    assert not entry(cache).part.exists()


@pytest.mark.parametrize("proxy", ["socks5://user:hush@127.0.0.1:1080", "ftp://user:hush@127.0.0.1:21"])
def test_a_proxy_of_an_unknown_kind_is_told_without_its_password(
    cache: WeightsSettings, server: FileServer, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("all_proxy", proxy)
    with pytest.raises(ModelUnavailable, match="http_proxy, https_proxy or all_proxy names cannot be used") as told:
        fetcher_of(cache, server).ensure(SOURCE, silent)
    assert "hush" not in told.value.message


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/best.pt", "gopher://x/y"])
def test_a_redirect_to_another_scheme_is_refused(cache: WeightsSettings, server: FileServer, target: str) -> None:
    server.redirects[PATH] = target
    with pytest.raises(ModelUnavailable, match=r"redirects to|could not be fetched"):
        fetcher_of(cache, server).ensure(SOURCE, silent)
    assert not entry(cache).file.exists()


def test_redirects_in_a_circle_end(cache: WeightsSettings, server: FileServer) -> None:
    server.redirects[PATH] = f"{server.url}{PATH}"
    with pytest.raises(ModelUnavailable, match="redirects more than 5 times"):
        fetcher_of(cache, server).ensure(SOURCE, silent)


def test_a_file_that_is_not_published_or_a_dead_line_is_told_with_its_host(
    cache: WeightsSettings, server: FileServer
) -> None:
    with pytest.raises(ModelUnavailable, match=r"best\.pt could not be fetched: 127\.0\.0\.1 answered 404"):
        fetcher_of(cache, server).ensure(SOURCE, silent)
    with file_server() as gone:
        dead = Publishers(gone.url, gone.url)
    with pytest.raises(ModelUnavailable, match=r"could not be fetched from 127\.0\.0\.1: ConnectError"):
        Fetcher(cache, PATIENT, dead).ensure(SOURCE, silent)


def test_a_busy_server_is_asked_again_and_not_for_ever(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    server.files[PATH] = content
    server.busy_answers = 5
    with pytest.raises(ModelUnavailable, match=r"could not be fetched from 127\.0\.0\.1: answered 503"):
        fetcher_of(cache, server).ensure(SOURCE, silent)
    assert len(server.asked) == PATIENT.attempts
    server.busy_answers = 1
    assert fetcher_of(cache, server).ensure(SOURCE, silent).read_bytes() == content


def test_a_file_in_an_encoding_that_nobody_asked_for_is_refused(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    server.files[PATH] = content
    server.headers[PATH] = {"Content-Encoding": "gzip"}
    with pytest.raises(ModelUnavailable, match="in an encoding that was not requested"):
        fetcher_of(cache, server).ensure(SOURCE, silent)


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


def test_a_file_of_this_machine_is_copied_offline_too(tmp_path: Path, cache: WeightsSettings, content: bytes) -> None:
    disk = tmp_path / "disk" / "best.pt"
    disk.parent.mkdir()
    disk.write_bytes(content)
    offline = cache.model_copy(update={"offline": True})
    source = WeightsSource(uri=f"file://{disk}", sha256=sha256(content))
    path = Fetcher(offline).ensure(source, silent)
    disk.unlink()
    assert path.read_bytes() == content
    assert Fetcher(offline).ensure(source, silent) == path


@pytest.mark.parametrize("make", ["missing", "folder", "pipe"])
def test_what_is_no_plain_file_is_not_copied(tmp_path: Path, cache: WeightsSettings, make: str) -> None:
    path = tmp_path / "weights.pt"
    if make == "folder":
        path.mkdir()
    elif make == "pipe":
        os.mkfifo(path)
    with pytest.raises(ModelUnavailable, match="are missing, or not a plain file"):
        Fetcher(cache).ensure(WeightsSource(uri=f"file://{path}"), silent)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path, server: FileServer, content: bytes) -> None:
    server.files[PATH] = content
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ModelUnavailable, match=r"the cache folder .* cannot be written"):
        fetcher_of(WeightsSettings(dir=tmp_path / "file"), server).ensure(SOURCE, silent)
