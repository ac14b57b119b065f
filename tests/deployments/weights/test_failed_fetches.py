"""What goes wrong with the server or the way to it is told with its host, and nothing is tried for ever."""

import pytest

from deployments.errors import ModelUnavailable
from deployments.weights.fetch import Fetcher, Publishers
from deployments.weights.settings import WeightsSettings
from tests.deployments.weights.fetchers import PATH, PATIENT, SOURCE, entry, fetcher_of, silent
from tests.deployments.weights.file_server import FileServer, file_server


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
