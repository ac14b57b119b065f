"""A renewed certificate comes into use without a restart; a broken one does not."""

import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from serve_app.launcher.proxy.certificate import read_certificate
from serve_app.launcher.proxy.renewal import Renewal, write_certificate
from tests.serve_app.launcher.proxy.https_in_front import https_in_front, write_pair

AUTHORITY = trustme.CA()


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def shown_at(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port), timeout=10))


def of(leaf: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(leaf.cert_chain_pems[0].bytes().decode())


def test_haproxy_shows_the_new_certificate_and_keeps_the_old_one_until_both_files_fit(tmp_path: Path) -> None:
    first, second = AUTHORITY.issue_cert("localhost"), AUTHORITY.issue_cert("localhost", key_type=trustme.KeyType.RSA)
    files = write_pair(first, tmp_path)
    assert files.key is not None
    clock = Clock()
    with https_in_front([], files) as door:
        renewal = Renewal(files, door.kept, door.control, clock)
        assert list(renewal.poll()) == []
        assert shown_at(door.port) == of(first)
        files.certificate.write_bytes(b"".join(one.bytes() for one in second.cert_chain_pems))
        assert list(renewal.poll()) == []
        clock.now_s = 9.0
        assert list(renewal.poll()) == []
        assert shown_at(door.port) == of(first)
        clock.now_s = 11.0
        [told] = renewal.poll()
        assert "is for another key" in told
        assert told.endswith("the certificate from before stays in use")
        assert list(renewal.poll()) == []
        files.key.write_bytes(second.private_key_pem.bytes())
        [told] = renewal.poll()
        assert told.startswith("in use from now on: the certificate for localhost, which expires on ")
        assert shown_at(door.port) == of(second)
        assert list(renewal.poll()) == []
        # What Ray starts next reads the same.
        assert door.kept.read_bytes() == read_certificate(files).pem
        assert stat.S_IMODE(door.kept.stat().st_mode) == 0o600
        assert list(door.kept.parent.glob("*.new")) == []


def test_while_no_haproxy_takes_it_it_is_offered_again(tmp_path: Path) -> None:
    files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
    with https_in_front([], files) as door:
        renewal = Renewal(files, door.kept, door.control.with_name("elsewhere"))
        write_pair(second := AUTHORITY.issue_cert("localhost"), tmp_path)
        assert list(renewal.poll()) == []
        (door.control.parent / "node" / "elsewhere").symlink_to(door.control.parent / "node" / door.control.name)
        [told] = renewal.poll()
        assert told.startswith("in use from now on")
        assert shown_at(door.port) == of(second)


def test_one_that_is_gone_or_expired_changes_nothing(tmp_path: Path) -> None:
    files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
    kept = tmp_path / "door.pem"
    write_certificate(read_certificate(files), kept)
    before = kept.read_bytes()
    clock = Clock()
    renewal = Renewal(files, kept, tmp_path / "admin.sock", clock)
    assert list(renewal.poll()) == []
    expired = AUTHORITY.issue_cert("localhost", not_after=datetime.now(UTC) - timedelta(days=1))
    for change, reason in (
        (lambda: write_pair(expired, tmp_path), "has expired"),
        (files.certificate.unlink, "No such"),
    ):
        change()
        assert list(renewal.poll()) == []
        clock.now_s += 11.0
        [told] = renewal.poll()
        assert reason in told
        assert kept.read_bytes() == before


@pytest.mark.parametrize(("days", "lines"), [(13, 1), (15, 0)])
def test_one_that_expires_soon_is_named_once_a_day(tmp_path: Path, days: int, lines: int) -> None:
    now = datetime.now(UTC)
    leaf = AUTHORITY.issue_cert(
        "localhost", not_before=now - timedelta(days=300), not_after=now + timedelta(days=days)
    )
    files = write_pair(leaf, tmp_path)
    write_certificate(read_certificate(files), tmp_path / "door.pem")
    clock = Clock()
    renewal = Renewal(files, tmp_path / "door.pem", tmp_path / "admin.sock", clock)
    assert len(list(renewal.poll())) == lines
    clock.now_s = 86_399.0
    assert list(renewal.poll()) == []
    clock.now_s = 86_401.0
    assert len(list(renewal.poll())) == lines


def test_a_file_that_lies_in_the_way_is_no_way_to_the_key(tmp_path: Path) -> None:
    files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
    seen_by_all = tmp_path / "seen"
    seen_by_all.touch(0o644)
    (tmp_path / "door.new").symlink_to(seen_by_all)
    write_certificate(read_certificate(files), tmp_path / "door.pem")
    assert seen_by_all.read_bytes() == b""
    assert stat.S_IMODE((tmp_path / "door.pem").lstat().st_mode) == 0o600
