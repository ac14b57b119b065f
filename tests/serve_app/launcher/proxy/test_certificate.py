"""The files of a certificate and its key are refused at the start where no client could be served with them."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from serve_app.launcher.proxy import certificate
from serve_app.launcher.proxy.certificate import (
    Certificate,
    CertificateError,
    CertificateFiles,
    is_read_by_strangers,
    read_certificate,
)
from tests.serve_app.launcher.proxy.https_in_front import write_pair

AUTHORITY = trustme.CA()
LEAF = AUTHORITY.issue_cert("door.example", "10.0.0.5")


@pytest.fixture
def files(tmp_path: Path) -> CertificateFiles:
    return write_pair(LEAF, tmp_path)


def refusal(files: CertificateFiles, now: datetime | None = None) -> str:
    with pytest.raises(CertificateError) as found:
        read_certificate(files, now)
    return str(found.value)


def test_two_files_and_one_are_read_alike(files: CertificateFiles, tmp_path: Path) -> None:
    assert files.key is not None
    apart = read_certificate(files)
    assert apart.names == ("door.example", "10.0.0.5")
    for parts in ([files.certificate, files.key], [files.key, files.certificate]):
        one = tmp_path / "door.pem"
        one.write_bytes(b"\n# a remark\n".join(part.read_bytes() for part in parts))
        assert read_certificate(CertificateFiles(one)) == apart


def test_the_chain_is_handed_on_behind_the_certificate(tmp_path: Path) -> None:
    leaf = AUTHORITY.create_child_ca().issue_cert("door.example")
    pem = read_certificate(write_pair(leaf, tmp_path)).pem
    certificates = [part for part in pem.split(b"-----BEGIN ") if part.startswith(b"CERTIFICATE")]
    assert len(certificates) == len(leaf.cert_chain_pems) == 2
    assert b"\n\n" not in pem


def test_a_key_of_somebody_else_is_refused(files: CertificateFiles) -> None:
    assert files.key is not None
    files.key.write_bytes(AUTHORITY.issue_cert("door.example").private_key_pem.bytes())
    told = refusal(files)
    assert told.startswith("FATHOM_TLS_CERTIFICATE: the first certificate of ")
    assert str(files.key) in told


def test_the_certificate_of_the_authority_before_that_of_the_server_is_refused(files: CertificateFiles) -> None:
    files.certificate.write_bytes(AUTHORITY.cert_pem.bytes() + files.certificate.read_bytes())
    assert "comes before those of its authorities" in refusal(files)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "holds no private key in PEM"),
        (b"\x30\x82\x01\x0a", "holds no private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\naHVzaA==\n-----END PRIVATE KEY-----\n", "cannot be read"),
        (b"-----BEGIN PRIVATE KEY-----\nhush hush", "cannot be read"),
    ],
)
def test_what_is_no_key_is_refused_and_never_quoted(files: CertificateFiles, content: bytes, reason: str) -> None:
    assert files.key is not None
    files.key.write_bytes(content)
    told = refusal(files)
    assert told.startswith("FATHOM_TLS_KEY: ")
    assert reason in told
    assert "hush" not in told
    assert "aHVzaA" not in told


def test_a_key_with_a_passphrase_is_refused(files: CertificateFiles) -> None:
    assert files.key is not None
    key = load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hush")))
    assert "has a passphrase" in refusal(files)


def test_a_certificate_alone_says_where_to_name_its_key(files: CertificateFiles) -> None:
    assert refusal(CertificateFiles(files.certificate)).endswith(
        "no private key in PEM; name its file in FATHOM_TLS_KEY"
    )


def test_what_is_no_certificate_is_refused(files: CertificateFiles) -> None:
    files.certificate.write_bytes(b"no certificate")
    assert refusal(files).endswith("fullchain.pem holds no certificate in PEM")


ODD: dict[str, tuple[bytes, bytes]] = {
    "a version that there is not": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"),
    "a curve that there is not": (b"\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x2a\x86\x48\xce\x3d\x03\x01\x7f"),
}
"""Bytes of LEAF -> others in their place."""


@pytest.mark.parametrize("odd", ODD)
def test_a_certificate_that_cannot_be_read_is_refused(files: CertificateFiles, odd: str) -> None:
    files.certificate.write_bytes(changed(*ODD[odd]))
    assert refusal(files).endswith("fullchain.pem holds a certificate that cannot be read")


def test_one_that_has_its_names_twice_has_none(files: CertificateFiles) -> None:
    # The key identifier of the authority becomes a second list of names.
    files.certificate.write_bytes(changed(b"\x06\x03\x55\x1d\x23", b"\x06\x03\x55\x1d\x11"))
    assert read_certificate(files).names == ()


def changed(before: bytes, after: bytes) -> bytes:
    """LEAF, with other bytes in it."""
    der = ssl.PEM_cert_to_DER_cert(LEAF.cert_chain_pems[0].bytes().decode())
    assert before in der
    return ssl.DER_cert_to_PEM_cert(der.replace(before, after, 1)).encode()


def test_what_is_no_file_is_refused_at_once(files: CertificateFiles, tmp_path: Path) -> None:
    assert refusal(CertificateFiles(tmp_path / "none.pem")).endswith("none.pem: No such file or directory")
    assert refusal(CertificateFiles(tmp_path)).endswith("Is a directory")
    os.mkfifo(tmp_path / "pipe")
    assert refusal(CertificateFiles(files.certificate, tmp_path / "pipe")).endswith("pipe is not a file")
    with (tmp_path / "large.pem").open("wb") as large:
        large.truncate(2**21)
    assert refusal(CertificateFiles(tmp_path / "large.pem")).endswith("has more than 1048576 bytes")


def test_one_that_has_expired_or_is_not_valid_yet_is_refused(files: CertificateFiles) -> None:
    found = read_certificate(files)
    assert refusal(files, found.expires_at).endswith(f"has expired on {found.expires_at:%Y-%m-%d %H:%M} UTC")
    assert "is the clock right?" in refusal(files, found.begins_at - timedelta(seconds=1))
    assert read_certificate(files, found.expires_at - timedelta(seconds=1)) == found


def test_a_key_that_clients_refuse_is_refused(files: CertificateFiles, tmp_path: Path) -> None:
    weak = rsa.generate_private_key(65537, 1024)
    pem = weak_pair(weak)
    (tmp_path / "weak.pem").write_bytes(pem)
    assert "has 1024 bits, and clients refuse fewer than 2048" in refusal(CertificateFiles(tmp_path / "weak.pem"))


def test_a_key_of_a_kind_that_tls_has_no_more_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dsa.pem").write_bytes(weak_pair(dsa.generate_private_key(1024)))
    assert refusal(CertificateFiles(tmp_path / "dsa.pem")).endswith("RSA, ECDSA or Ed25519")


def weak_pair(key: rsa.RSAPrivateKey | dsa.DSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "door.example")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM) + key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )


def test_more_than_a_chain_is_refused(files: CertificateFiles) -> None:
    files.certificate.write_bytes(files.certificate.read_bytes() * 100)
    told = refusal(files)
    assert "has 100 certificates" in told
    assert str(certificate.MAX_PEM_BYTES) in told


@pytest.mark.parametrize(("life", "soon"), [(90, 14), (398, 14), (6, 1)])
def test_soon_is_two_weeks_or_the_last_sixth(life: int, soon: int) -> None:
    begins_at = datetime(2026, 1, 1, tzinfo=UTC)
    found = Certificate(b"", (), begins_at, begins_at + timedelta(days=life))
    assert found.expires_at - found.soon == timedelta(days=soon)


def test_a_key_that_everybody_can_read_is_noticed(files: CertificateFiles) -> None:
    assert files.key is not None
    assert not is_read_by_strangers(files)
    files.key.chmod(0o644)
    assert is_read_by_strangers(files)


def test_the_key_is_in_no_text_that_is_made_of_a_certificate(files: CertificateFiles) -> None:
    found = read_certificate(files)
    assert "PRIVATE" in found.pem.decode()
    assert "PRIVATE" not in f"{found!r} {found}"
