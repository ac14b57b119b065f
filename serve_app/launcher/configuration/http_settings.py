"""Those of our own environment variables that are about the HTTP door; `env_settings` reads them with the others."""

from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from deployments.definition import Settings
from serve_app.fetching.allow_list import AllowList
from serve_app.known_faces import check_faces

NONE = "none"


class HttpSettings(Settings):
    """What FATHOM_... variables say of the HTTP door, and of HAProxy in front of it. None: not set."""

    http_host: str | None = Field(default=None, min_length=1)
    """Address that the HTTP door listens on."""

    http_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the HTTP door."""

    grpc_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of the HTTP door for gRPC, on the address of plain HTTP: docs/connect.md. No gRPC when not set."""

    tls_certificate: Path | None = None
    """File of this server's certificate and its chain, in PEM. With it the HTTP door speaks HTTPS: docs/security.md.
    It is read again when it changes."""

    tls_key: Path | None = None
    """File of the certificate's private key, in PEM and without a passphrase, where it is not in the file of the
    certificate."""

    https_port: int = Field(default=8443, ge=1, le=65535)
    """Port of the HTTP door for HTTPS, with `FATHOM_TLS_CERTIFICATE`."""

    plain_http: Literal["loopback", "redirect", "open"] = "loopback"
    """Whom the door serves over plain HTTP where it speaks HTTPS: `loopback`, this machine only; `redirect`, the
    same, and others are sent to HTTPS; `open`, everybody."""

    http_connections_per_client: int | None = Field(default=None, ge=1)
    """Connections that one client address (of IPv6, one /64) may hold; a quarter of all, which are 4096 where the
    limit of open files allows it, when not set. Raise it for a proxy of your own in front."""

    http_header_patience_s: float = Field(default=10.0, ge=0.1, le=60)
    """Seconds within which the head of an HTTP request must arrive."""

    faces: str | None = None
    """Faces of the HTTP door for the tools of others, with commas between them (`open_inference,cvat`), or `none`:
    docs/connect.md. All that need neither a connection to elsewhere nor Redis, when not set."""

    fetch_hosts: str | None = None
    """Hosts from which the HTTP door fetches images that clients give as addresses, with commas between them
    (`*.mbari.org,http://labelstudio.ship:8080 private`), or `none`: docs/security.md. As in the YAML when not set."""

    api_keys_file: Path | None = None
    """File of API keys, an absolute path. With it the HTTP door asks for a key; without it everybody who reaches the
    port may call: docs/security.md. It is read again when it changes."""

    api_key: SecretStr | None = None
    """Key that commands such as `make status` show to the HTTP door, where it asks for keys. A secret: never written
    to a file or shown."""

    trusted_proxies: str | None = Field(default=None, min_length=1)
    """Addresses or networks of proxies of your own in front, with commas between them (`10.0.0.5,10.1.0.0/16`). What
    they say in `X-Forwarded-For` and `X-Forwarded-Proto` is believed, and of nobody else."""

    @field_validator("http_host")
    @classmethod
    def _door_host_is_bare(cls, value: str | None) -> str | None:
        return bare_host(value)

    @field_validator("api_keys_file")
    @classmethod
    def _file_is_found_from_everywhere(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("must be an absolute path, as the door runs in a folder of Ray's")
        return value

    @field_validator("tls_key", "https_port", "plain_http")
    @classmethod
    def _goes_with_a_certificate(cls, value: object, info: ValidationInfo) -> object:
        # Somebody would think that what they send is encrypted.
        if info.data.get("tls_certificate", "") is None:
            raise ValueError("means nothing without FATHOM_TLS_CERTIFICATE")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_networks(cls, value: str | None) -> str | None:
        if value is None:
            return None
        # `ip_network` names what is wrong, such as a network with bits of a host.
        return ",".join(str(ip_network(part.strip())) for part in value.split(","))

    @field_validator("faces", "fetch_hosts")
    @classmethod
    def _entries_are_right(cls, value: str | None, info: ValidationInfo) -> str | None:
        check = check_faces if info.field_name == "faces" else AllowList.of
        check(listed(value) or ())
        return value


def listed(value: str | None) -> list[str] | None:
    """The entries of a list of words, as `faces` and `fetch_hosts` are; None where it is not set."""
    if value is None:
        return None
    return [] if value == NONE else [part.strip() for part in value.split(",")]


def bare_host(value: str | None) -> str | None:
    """`[::1]`, as URLs have it, is the address ::1."""
    return value[1:-1] if value and value.startswith("[") and value.endswith("]") else value
