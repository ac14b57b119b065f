"""Address, key and proxies: from arguments or the environment, refused where they cannot be, secrets not shown."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import trustme

from fathom_client import Client
from fathom_client.command.main import main
from fathom_client.connection import Connection
from fathom_client.errors import ServerNotReachable
from tests.client.fake_server import FakeServer


def chosen(url: str | None = None, key: str | None = None, **environ: str) -> Connection:
    return Connection.chosen(url, key, 60, environ)


def test_an_argument_wins_over_the_environment_and_that_over_the_default() -> None:
    environ = {"FATHOM_URL": "http://ship:1", "FATHOM_API_KEY": "one"}
    assert chosen().shown == "http://localhost:8082"
    assert (chosen(**environ).shown, chosen(**environ).api_key) == ("http://ship:1", "one")
    assert (chosen("http://a", "two", **environ).shown, chosen("http://a", "two", **environ).api_key) == (
        "http://a",
        "two",
    )
    assert chosen(FATHOM_URL="", FATHOM_API_KEY="").api_key is None


@pytest.mark.parametrize(
    "url", ["localhost:8082", "ftp://a", "http://", "//a", "http://a:b", "http://[::1", "http://a?b=c", "http://a#b"]
)
def test_an_address_that_cannot_be_one_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        chosen(url)


@pytest.mark.parametrize("key", ["top secret", "secret\n", "s\u00e9cret", "secret\x00"])
def test_a_key_that_cannot_be_one_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(ValueError, match="FATHOM_API_KEY") as raised:
        chosen(key=key)
    assert "cret" not in str(raised.value)
    assert "fk_1" not in repr(chosen(key="fk_1"))


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(timeout_s: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        Connection.chosen(None, None, timeout_s, {})


def test_an_authority_of_ones_own_is_the_only_one_that_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    for name, one in (("ship.pem", authority), ("other.pem", other)):
        one.cert_pem.write_to_path(str(tmp_path / name))
    with secure_server(authority) as url:
        monkeypatch.setenv("FATHOM_CACERT", str(tmp_path / "ship.pem"))
        with Client(url) as client:
            assert list(client.models()) == []
        for name in ("", str(tmp_path / "other.pem")):
            monkeypatch.setenv("FATHOM_CACERT", name)
            with Client(url) as client, pytest.raises(ServerNotReachable, match="FATHOM_CACERT, or --cacert"):
                client.models()


def test_the_command_takes_it_as_an_argument(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FATHOM_CACERT", str(tmp_path / "none.pem"))
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ship.pem"))
    with secure_server(authority) as url:
        assert main(["models", "--url", url, "--json"]) == 2
        assert "none.pem: No such file" in capsys.readouterr().err
        assert main(["models", "--url", url, "--json", "--cacert", str(tmp_path / "ship.pem")]) == 0


@contextmanager
def secure_server(authority: trustme.CA) -> Iterator[str]:
    """A server with a certificate of this authority that has no models."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b'{"models": []}')

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server = ThreadingHTTPServer(("localhost", 0), Answering)
    server.handle_error = lambda *_: None  # type: ignore[method-assign] - clients that go away
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_authority_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").touch()
    (tmp_path / "words.pem").write_text("no certificate")
    for file, reason in (
        ("none.pem", "No such file"),
        ("empty.pem", "no certificate in PEM"),
        ("words.pem", "no certificate in PEM"),
    ):
        with pytest.raises(ValueError, match=f"FATHOM_CACERT: .*{file}.*{reason}"):
            chosen("https://a", FATHOM_CACERT=str(tmp_path / file))
        # One shell may ask two servers.
        assert chosen("http://a", FATHOM_CACERT=str(tmp_path / file)).trust is None


def test_the_key_is_sent_with_every_request(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FATHOM_API_KEY", "fk_1")
    with Client() as client:
        client.predict(b"1", "demo")
    assert server.asked[0].headers["authorization"] == "Bearer fk_1"
    assert server.asked[0].headers["user-agent"].startswith("fathom-client/")


def test_a_path_under_which_the_server_is_published_is_kept() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return httpx.Response(200, json={"models": []})

    with Client("https://host/model/v1/", transport=httpx.MockTransport(answer)) as client:
        assert client.models() == []
    assert asked == ["/model/v1/v1/models"]


@pytest.mark.parametrize("proxy", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_for_the_internet_is_not_asked_for_loopback(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    with Client() as client:
        assert client.predict(b"1", "demo").detections


@pytest.mark.parametrize(
    ("host", "is_direct"),
    [("localhost", True), ("127.1.2.3", True), ("[::1]", True), ("a.localhost", True), ("ship", False)],
)
def test_only_loopback_is_reached_past_a_proxy(host: str, is_direct: bool) -> None:
    mounts = chosen(f"http://{host}:8082/v1").http_options()["mounts"]
    assert mounts == ({f"http://{host}": None} if is_direct else {})
