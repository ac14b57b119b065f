"""The certificate by which clients know that the HTTP door is the server that they meant, and its private key. Both
are checked before HAProxy gets them, as it does not start with a pair that does not fit.

No message has anything of the key but the name of its file.
"""

import os
import stat
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

CERTIFICATE = "FATHOM_TLS_CERTIFICATE"
KEY = "FATHOM_TLS_KEY"

MAX_PEM_BYTES = 24_000
"""Of the certificate, its chain and the key: HAProxy takes a renewed one in one buffer."""

_MAX_FILE_BYTES = 2**20
_LEAST_RSA_BITS = 2048
_SOON = timedelta(days=14)
_SOON_PART = 6
"""The last sixth of its life is soon, too, for a certificate that is made anew every few days or hours."""


class CertificateError(Exception):
    """The files hold no pair that the door can use. The text names the variable, the file and the reason."""


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where a certificate and its key are."""

    certificate: Path
    """In PEM: the certificate, then those that lead to its authority."""

    key: Path | None = None
    """In PEM; None where the key is in the file of the certificate."""

    def paths(self) -> list[Path]:
        """The files, which may change."""
        return [self.certificate] if self.key is None else [self.certificate, self.key]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that is valid now, and fits its key."""

    pem: bytes = field(repr=False)
    """The certificate, its chain and the key without a passphrase: a secret."""

    names: tuple[str, ...]
    """The names and addresses of the server that it is for."""

    begins_at: datetime
    expires_at: datetime

    @property
    def soon(self) -> datetime:
        """From when on it has little time left."""
        return self.expires_at - min(_SOON, (self.expires_at - self.begins_at) / _SOON_PART)

    def __str__(self) -> str:
        return f"the certificate for {', '.join(self.names) or 'no name'}, which expires on {_day(self.expires_at)}"


def read_certificate(files: CertificateFiles, now: datetime | None = None) -> Certificate:
    """Reads and checks both files. Raises CertificateError. now: with a time zone; None for the present."""
    now = now or datetime.now(UTC)
    found = _content(files.certificate, CERTIFICATE)
    if b"CERTIFICATE-----" not in found:
        raise CertificateError(f"{CERTIFICATE}: {files.certificate} holds no certificate in PEM")
    try:
        chain = x509.load_pem_x509_certificates(found)
        public_key = chain[0].public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        raise CertificateError(
            f"{CERTIFICATE}: {files.certificate} holds a certificate that cannot be read"
        ) from None
    key = _key(files, found)
    own = chain[0]
    if public_key != key.public_key():
        raise CertificateError(
            f"{CERTIFICATE}: the first certificate of {files.certificate} is for another key than the one in "
            f"{files.key or files.certificate}; the certificate of the server comes before those of its authorities"
        )
    _refuse_out_of_time(own, files.certificate, now)
    public = key.public_key()
    if not isinstance(public, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        raise CertificateError(
            f"{CERTIFICATE}: the key of {files.certificate} is none that clients take: RSA, ECDSA or Ed25519"
        )
    if isinstance(public, RSAPublicKey) and public.key_size < _LEAST_RSA_BITS:
        raise CertificateError(
            f"{KEY if files.key else CERTIFICATE}: the RSA key of {files.key or files.certificate} has "
            f"{public.key_size} bits, and clients refuse fewer than {_LEAST_RSA_BITS}"
        )
    parts = [*(one.public_bytes(Encoding.PEM) for one in chain)]
    pem = b"".join([*parts, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())])
    if len(pem) > MAX_PEM_BYTES:
        raise CertificateError(
            f"{CERTIFICATE}: {files.certificate} has {len(chain)} certificates, {len(pem)} bytes with the key, and "
            f"may have {MAX_PEM_BYTES}; leave out what is not of the chain"
        )
    return Certificate(pem, _names(own), own.not_valid_before_utc, own.not_valid_after_utc)


def is_read_by_strangers(files: CertificateFiles) -> bool:
    """Whether every user of this machine can read the key. Raises OSError."""
    return bool((files.key or files.certificate).stat().st_mode & stat.S_IROTH)


def _content(path: Path, variable: str) -> bytes:
    try:
        # Not a pipe, which would make whoever opens it wait.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CertificateError(f"{variable}: {path} is not a file")
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CertificateError(f"{variable}: {path}: {error.strerror}") from error
    if len(content) > _MAX_FILE_BYTES:
        raise CertificateError(f"{variable}: {path} has more than {_MAX_FILE_BYTES} bytes")
    return content


def _key(files: CertificateFiles, beside: bytes) -> PrivateKeyTypes:
    variable, path = (CERTIFICATE, files.certificate) if files.key is None else (KEY, files.key)
    content = beside if files.key is None else _content(files.key, KEY)
    if b"PRIVATE KEY-----" not in content:
        advice = f"; name its file in {KEY}" if files.key is None else ""
        raise CertificateError(f"{variable}: {path} holds no private key in PEM{advice}")
    try:
        return load_pem_private_key(content, password=None)
    except TypeError:
        raise CertificateError(
            f"{variable}: the key in {path} has a passphrase, and there is nobody to type it; take it away with "
            "openssl pkey, and keep the file for its owner only"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        # Its own words may quote what was read.
        raise CertificateError(f"{variable}: the private key in {path} cannot be read") from None


def _refuse_out_of_time(own: x509.Certificate, path: Path, now: datetime) -> None:
    if now >= own.not_valid_after_utc:
        raise CertificateError(f"{CERTIFICATE}: {path} has expired on {_day(own.not_valid_after_utc)}")
    if now < own.not_valid_before_utc:
        raise CertificateError(
            f"{CERTIFICATE}: {path} is valid from {_day(own.not_valid_before_utc)} on; is the clock right?"
        )


def _names(own: x509.Certificate) -> tuple[str, ...]:
    try:
        found = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return ()
    addresses = (str(address) for address in found.get_values_for_type(x509.IPAddress))
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
