"""What the settings say of HTTPS, and where it is refused at the start."""

from pathlib import Path

import pytest
import trustme

from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.configuration.ray_variables import for_ray
from serve_app.launcher.console import LaunchError
from serve_app.launcher.processes.ports import Listener
from serve_app.launcher.proxy.haproxy import BINARY, CONTROL, ENABLED
from serve_app.launcher.proxy.https_settings import https_line, https_of, renewal_of, with_plain_http
from tests.serve_app.launcher.proxy.https_in_front import write_pair

LEAF = trustme.CA().issue_cert("*.example", "door.example")
DOCUMENT = {"http_options": {"host": "0.0.0.0", "port": 8082}, "applications": []}


@pytest.fixture
def given(tmp_path: Path) -> dict[str, str]:
    files = write_pair(LEAF, tmp_path)
    return {"FATHOM_TLS_CERTIFICATE": str(files.certificate), "FATHOM_TLS_KEY": str(files.key)}


def test_without_a_certificate_nothing_changes() -> None:
    settings = SystemSettings.from_environment({})
    assert https_of(DOCUMENT, settings, for_ray({})) is None
    assert renewal_of(settings, {}) is None
    assert with_plain_http(DOCUMENT, None) is DOCUMENT


@pytest.mark.parametrize(
    ("name", "value"), [("FATHOM_TLS_KEY", "/key.pem"), ("FATHOM_HTTPS_PORT", "8443"), ("FATHOM_PLAIN_HTTP", "open")]
)
def test_what_means_nothing_without_a_certificate_is_refused(name: str, value: str) -> None:
    with pytest.raises(LaunchError, match=f"{name}: means nothing without FATHOM_TLS_CERTIFICATE"):
        SystemSettings.from_environment({name: value})


@pytest.mark.parametrize(
    ("plain", "host", "said"),
    [
        ("", "127.0.0.1", "plain HTTP serves this machine only"),
        ("loopback", "127.0.0.1", "plain HTTP serves this machine only"),
        ("redirect", "0.0.0.0", "plain HTTP serves this machine only, and sends others to HTTPS"),
        ("open", "0.0.0.0", "plain HTTP serves everybody, too"),
    ],
)
def test_with_one_plain_http_is_for_those_whom_the_setting_names(
    given: dict[str, str], plain: str, host: str, said: str
) -> None:
    settings = SystemSettings.from_environment({**given, "FATHOM_PLAIN_HTTP": plain})
    https = https_of(DOCUMENT, settings, for_ray({}))
    assert https is not None
    assert https.listener == Listener("FATHOM_HTTPS_PORT", "0.0.0.0", 8443)
    assert with_plain_http(DOCUMENT, https)["http_options"] == {"host": host, "port": 8082}
    line = https_line(https)
    assert line.startswith(
        "HTTPS: https://door.example:8443/ with the certificate for *.example, door.example, which"
    )
    assert line.endswith(said)


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({ENABLED: "0"}, "set RAY_SERVE_ENABLE_HA_PROXY=1"),
        ({"RAY_ADDRESS": "10.0.0.1:6379"}, "others run the proxies"),
        ({BINARY: "/usr/sbin/haproxy"}, "RAY_SERVE_HAPROXY_BINARY_PATH"),
    ],
)
def test_where_no_haproxy_of_ours_is_it_is_refused(
    given: dict[str, str], environ: dict[str, str], reason: str
) -> None:
    settings = SystemSettings.from_environment(given)
    with pytest.raises(LaunchError, match=f"FATHOM_TLS_CERTIFICATE: .*{reason}"):
        https_of(DOCUMENT, settings, for_ray(environ))


def test_a_pair_that_does_not_fit_is_refused_and_one_that_all_can_read_is_told(
    given: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    key = Path(given["FATHOM_TLS_KEY"])
    key.chmod(0o644)
    settings = SystemSettings.from_environment(given)
    assert https_of(DOCUMENT, settings, for_ray({})) is not None
    assert "every user can read it (chmod o-r)" in capsys.readouterr().err
    key.write_bytes(b"")
    with pytest.raises(LaunchError, match=r"FATHOM_TLS_KEY: .*privkey\.pem holds no private key"):
        https_of(DOCUMENT, settings, for_ray({}))


def test_who_looks_after_it_knows_the_copy_that_haproxy_reads(given: dict[str, str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "node").mkdir(parents=True)
    (home / "door.pem").touch()
    settings = SystemSettings.from_environment(given)
    renewal = renewal_of(settings, {BINARY: str(home / "haproxy.sh"), CONTROL: str(home / "admin.sock")})
    assert renewal is not None
    assert list(renewal.poll()) == []
    assert b"PRIVATE KEY" in (home / "door.pem").read_bytes()
