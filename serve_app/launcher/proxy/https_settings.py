"""HTTPS as the settings of `make serve` say: what is checked at its start, and who looks after the certificate."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serve_app.launcher.configuration.env_settings import SystemSettings, reachable_address
from serve_app.launcher.configuration.ray_variables import RAY_ADDRESS, joins_cluster
from serve_app.launcher.console import LaunchError, say_error
from serve_app.launcher.processes.ports import Listener
from serve_app.launcher.proxy.certificate import (
    CERTIFICATE,
    CertificateError,
    CertificateFiles,
    is_read_by_strangers,
    read_certificate,
)
from serve_app.launcher.proxy.haproxy import BINARY, CONTROL, ENABLED, is_enabled, kept_certificate
from serve_app.launcher.proxy.haproxy_config import LOOPBACK
from serve_app.launcher.proxy.https import Https
from serve_app.launcher.proxy.renewal import Renewal

_PLAIN = {
    "loopback": "plain HTTP serves this machine only",
    "redirect": "plain HTTP serves this machine only, and sends others to HTTPS",
    "open": "plain HTTP serves everybody, too",
}


def https_of(document: Mapping[str, Any], settings: SystemSettings, environ: Mapping[str, str]) -> Https | None:
    """How the door of `document` speaks HTTPS; None where there is no certificate. Raises LaunchError."""
    files = _files(settings)
    if files is None:
        return None
    _refuse_where_nobody_speaks_it(environ)
    try:
        certificate = read_certificate(files)
    except CertificateError as error:
        raise LaunchError(str(error)) from error
    if is_read_by_strangers(files):
        say_error(f"{files.key or files.certificate} has a private key, and every user can read it (chmod o-r)")
    host = (document.get("http_options") or {}).get("host") or "0.0.0.0"
    return Https(Listener("FATHOM_HTTPS_PORT", host, settings.https_port), certificate, settings.plain_http)


def with_plain_http(document: dict[str, Any], https: Https | None) -> dict[str, Any]:
    """`document` with the address on which plain HTTP is served."""
    if https is None or https.plain != "loopback":
        return document
    return {**document, "http_options": {**(document.get("http_options") or {}), "host": LOOPBACK}}


def renewal_of(settings: SystemSettings, environ: Mapping[str, str]) -> Renewal | None:
    """Who looks after the certificate, if there is one. environ: that of `haproxy_environment`."""
    files = _files(settings)
    return None if files is None else Renewal(files, kept_certificate(environ), Path(environ[CONTROL]))


def https_line(https: Https) -> str:
    """What a user is told of it."""
    names = [name for name in https.certificate.names if "*" not in name]
    address = reachable_address(names[0] if names else https.listener.host, https.listener.port)
    return f"HTTPS: https://{address}/ with {https.certificate}; {_PLAIN[https.plain]}"


def _files(settings: SystemSettings) -> CertificateFiles | None:
    path = settings.tls_certificate
    return None if path is None else CertificateFiles(path, settings.tls_key)


def _refuse_where_nobody_speaks_it(environ: Mapping[str, str]) -> None:
    if joins_cluster(environ):
        raise LaunchError(f"{CERTIFICATE}: with {RAY_ADDRESS.name}, others run the proxies; put TLS in front of them")
    if not is_enabled(environ):
        raise LaunchError(f"{CERTIFICATE}: HAProxy speaks HTTPS here; set {ENABLED}=1, or put TLS in front")
    if BINARY in environ:
        raise LaunchError(f"{CERTIFICATE}: does not go with {BINARY}, as HAProxy is then not set up here")
