"""The folder of the cache: one writer at a time, a full or closed disk, files of this machine."""

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
from deployments.weights.fetch import Fetcher, Publishers
from deployments.weights.http_client import TransferSettings
from deployments.weights.settings import WeightsSettings
from tests.deployments.weights.fetchers import PATH, SOURCE, entry, fetcher_of, sha256, silent
from tests.deployments.weights.file_server import FileServer


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
