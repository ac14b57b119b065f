"""What the answer of a web server proves about the file in it."""

import ipaddress

import httpx

from deployments.errors import ModelUnavailable

HEAD_BYTES = 512
_PAGES = (b"<!doctype", b"<html", b"<?xml")


def has_known_end(response: httpx.Response) -> bool:
    """Whether the body says where it ends, so that one that was cut off is noticed: by its length, or in chunks. Of
    any other the end is that of the connection, whatever the reason for it."""
    coding: str = response.headers.get("transfer-encoding", "")
    length: str = response.headers.get("content-length", "")
    return coding.lower().endswith("chunked") or length.isdecimal()


def has_changed(response: httpx.Response, validator: str) -> bool:
    """Whether a server that goes on with a file, as it was asked to, says that it is not the one of `validator`."""
    said = response.headers.get("etag" if validator.startswith('"') else "last-modified")
    return said is not None and said != validator


def refuse_page(name: str, host: str, head: bytes) -> None:
    """Raise ModelUnavailable for a web page. Networks that want a login answer every request with one, and some
    servers do for a file that they do not have. head: the first bytes of the file."""
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGES):
        raise ModelUnavailable(
            f"{name}: {host} sent a web page in place of the file; does this network want a login, and is the "
            "address that of the file itself?"
        )


def refuse_redirect(origin: httpx.URL, target: httpx.URL) -> None:
    """Raise ModelUnavailable for a redirect that is not followed: to anything but https, except from http to http;
    and from a publisher to an address of this machine or of its network."""
    if target.scheme != "https" and (target.scheme, origin.scheme) != ("http", "http"):
        raise ModelUnavailable(f"{origin.host} redirects to {target.scheme}:, which is not allowed")
    if origin.scheme == "https" and _is_inner(target.host) and not _is_inner(origin.host):
        raise ModelUnavailable(f"{origin.host} redirects to {target.host}, an inner address, which is not allowed")


def _is_inner(host: str) -> bool:
    """Whether `host` is this machine or an address that the internet does not reach, as far as its text tells."""
    try:
        return not ipaddress.ip_address(host.strip("[]")).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
