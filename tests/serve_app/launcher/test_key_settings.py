"""Keys and trusted proxies as settings: refused at the start where they are wrong, and sent where they belong."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from serve_app.launcher.cluster.node_command import node_environment
from serve_app.launcher.cluster.replica_settings import passed_on
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.console import LaunchError
from serve_app.launcher.dashboard_client import metrics_text, wait_until_listed
from serve_app.launcher.machine_checks import refuse_bad_keys


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("10.0.0.5", "10.0.0.5/32"),
        ("10.0.0.5, 10.1.0.0/16", "10.0.0.5/32,10.1.0.0/16"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
    ],
)
def test_trusted_proxies_are_addresses_and_networks(value: str, kept: str) -> None:
    assert SystemSettings.from_environment({"FATHOM_TRUSTED_PROXIES": value}).trusted_proxies == kept


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FATHOM_TRUSTED_PROXIES", "proxy.example"),
        ("FATHOM_TRUSTED_PROXIES", "10.0.0.5/16"),
        ("FATHOM_TRUSTED_PROXIES", "10.0.0.5,"),
        ("FATHOM_TRUSTED_PROXIES", "10.0.0.5 } { always_true"),
        ("FATHOM_TRUSTED_PROXIES", "*"),
        ("FATHOM_API_KEYS_FILE", "keys.toml"),
        ("FATHOM_API_KEYS_FILE", "~/keys.toml"),
    ],
)
def test_a_wrong_value_is_named_at_the_start(name: str, value: str) -> None:
    with pytest.raises(LaunchError, match=name):
        SystemSettings.from_environment({name: value})


def test_a_key_is_never_shown() -> None:
    settings = SystemSettings.from_environment({"FATHOM_API_KEY": "hush"})
    assert "hush" not in repr(settings)


def test_a_broken_file_of_keys_is_refused_at_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "keys.toml"
    with pytest.raises(LaunchError, match=r"FATHOM_API_KEYS_FILE: .*keys.toml: No such file"):
        refuse_bad_keys(file)
    file.write_text("nonsense")
    file.chmod(0o600)
    with pytest.raises(LaunchError, match="is not TOML"):
        refuse_bad_keys(file)
    file.write_text("")
    refuse_bad_keys(file)
    refuse_bad_keys(None)
    assert capsys.readouterr().err == ""
    file.chmod(0o644)
    refuse_bad_keys(file)
    assert "can be read by every user" in capsys.readouterr().err
    file.chmod(0o666)
    with pytest.raises(LaunchError, match="chmod go-w"):
        refuse_bad_keys(file)


def test_on_a_cluster_the_place_of_the_file_is_sent_along_and_no_key() -> None:
    environ = {"FATHOM_API_KEYS_FILE": "/etc/keys.toml", "FATHOM_API_KEY": "hush"}
    assert passed_on(environ) == {"FATHOM_API_KEYS_FILE": "/etc/keys.toml"}
    assert "FATHOM_API_KEY" not in node_environment(environ)


def test_a_node_believes_nobody_or_the_trusted_proxies() -> None:
    assert node_environment({})["FORWARDED_ALLOW_IPS"] == "none"
    given = {"FATHOM_TRUSTED_PROXIES": "10.0.0.5"}
    assert node_environment(given)["FORWARDED_ALLOW_IPS"] == "10.0.0.5"


class _Door(BaseHTTPRequestHandler):
    """Asks for the key `right`."""

    def do_GET(self) -> None:
        body = json.dumps(self.path).encode()
        self.send_response(200 if self.headers["x-api-key"] == "right" else 401)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def details() -> Iterator[dict[str, object]]:
    with HTTPServer(("127.0.0.1", 0), _Door) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield {"http_options": {"host": "127.0.0.1", "port": server.server_port}}
        server.shutdown()
        thread.join()


def test_commands_show_their_key_and_wait_for_nothing_that_they_may_not_see(
    details: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FATHOM_API_KEY", raising=False)
    assert metrics_text(details) == ""
    assert wait_until_listed(details, "a", timeout_s=5)
    monkeypatch.setenv("FATHOM_API_KEY", "right")
    assert metrics_text(details) == '"/metrics"'
