"""HTTPS with the whole system: a certificate is named, used, renewed without a restart, and its key is kept."""

import ssl
import stat
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import trustme
import yaml

from serve_app.launcher.proxy.certificate import CertificateFiles
from tests.serve_app.launcher.proxy.https_in_front import write_pair
from tests.serve_app.uploads import picture
from tests.support.waiting import wait_for
from tests.system.conftest import RunningSystem, environment_for, free_port, running_system
from tests.system.launched import document, model

pytestmark = [pytest.mark.slow, pytest.mark.beside_others]

AUTHORITY = trustme.CA()


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)


@pytest.fixture
def system(tmp_path: Path, files: CertificateFiles) -> Iterator[RunningSystem]:
    folder = tmp_path / "data"
    folder.mkdir()
    environ = environment_for(folder) | {
        "FATHOM_HTTP_HOST": "0.0.0.0",
        "FATHOM_TLS_CERTIFICATE": str(files.certificate),
        "FATHOM_TLS_KEY": str(files.key),
        "FATHOM_HTTPS_PORT": str(free_port()),
    }
    config = tmp_path / "system.yaml"
    config.write_text(yaml.safe_dump(document(int(environ["FATHOM_HTTP_PORT"]), model("fixed"))))
    with running_system(folder, config, environ) as running:
        yield running


def shown_by(system: RunningSystem) -> str:
    return ssl.get_server_certificate(("127.0.0.1", int(system.environ["FATHOM_HTTPS_PORT"])), timeout=10)


def haproxies(system: RunningSystem) -> set[int]:
    launcher = psutil.Process(system.process.pid)
    return {one.pid for one in launcher.children(recursive=True) if "haproxy" in one.name()}


def test_a_certificate_is_used_and_renewed_and_its_key_is_kept(
    system: RunningSystem, files: CertificateFiles
) -> None:
    assert files.key is not None
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    url = f"https://localhost:{system.environ['FATHOM_HTTPS_PORT']}"
    with httpx.Client(base_url=url, verify=context, trust_env=False, timeout=60) as http:
        answer = http.post("/predictor/", files={"file": picture()})
        assert answer.json()["success"] is True
        assert answer.headers["strict-transport-security"] == "max-age=86400"
    first_key = files.key.read_text().splitlines()[1]

    write_pair(renewed := AUTHORITY.issue_cert("localhost"), files.certificate.parent)
    leaf = renewed.cert_chain_pems[0].bytes().decode()
    wait_for(lambda: shown_by(system) == leaf, 30, "the renewed certificate")
    wait_for(lambda: "in use from now on" in (system.folder / "launcher.log").read_text(), 10, "the launcher's word")

    # Ray starts HAProxy anew when doors come and go; the new one has it, too.
    before, doors = haproxies(system), system.processes("api")
    for pid in doors:
        psutil.Process(pid).kill()
    wait_for(lambda: haproxies(system) - before, 60, "another HAProxy")
    wait_for(lambda: system.http.get("/health/live").status_code == 200, 60, "another door")
    assert shown_by(system) == leaf

    arguments = [Path(one) for pid in haproxies(system) for one in psutil.Process(pid).cmdline()]
    [home] = {one.parents[1] for one in arguments if one.name == "haproxy.cfg"}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "door.pem").stat().st_mode) == 0o600
    told = "".join(path.read_text(errors="replace") for path in system.folder.rglob("*") if path.is_file())
    assert first_key not in told
    assert files.key.read_text().splitlines()[1] not in told
