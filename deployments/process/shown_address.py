"""An address as it may be shown: in a listing, in a log, in an error.

What may be a secret is left out: user and password, and the query, where presigned addresses have their signature.
An address is hostile here: where a password may hold characters that should have been written in percent code, nobody
can tell it from a host, so that nothing but the scheme is shown.
"""

import re

HIDDEN = "..."

_HOST = r"(?:[\w.-]+|\[[0-9A-Fa-f:.%\w]+\])(?::\d{1,5})?"
_ADDRESS = re.compile(
    rf"(?P<scheme>[A-Za-z][\w+.-]*:)"
    rf"(?://(?P<user>[^/?#]*@)?(?P<hosts>{_HOST}(?:,{_HOST})*)?(?=[/?#]|$))?"
    rf"(?P<path>[^?#]*)(?P<query>\?[^#]*)?(?P<fragment>#.*)?",
    re.DOTALL,
)
_REVISIONED = ("hf:",)
"""Schemes in whose path an @ has a meaning."""

_IN_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_AFTER_ADDRESS = "'\"`)]},;:.>"


def shown_address(address: str) -> str:
    """`address` without its secrets; what is not an address is left as it is."""
    scheme, colon, _ = address.partition("://")
    if not colon:
        return _without_query(address)
    found = _clear(address)
    if found is None:
        return f"{scheme}://{HIDDEN}"
    return f"{found['scheme']}//{found['hosts'] or ''}{found['path']}{_mark(found)}{found['fragment'] or ''}"


def is_clear(address: str) -> bool:
    """Whether it is plain where the password of `scheme://...` ends, if it has one."""
    return _clear(address) is not None


def shown_text(text: str) -> str:
    """`text`, such as the message of somebody else's error, with each address in it as it may be shown."""
    return _IN_TEXT.sub(lambda found: _shown_within(found[0]), text)


def _clear(address: str) -> re.Match[str] | None:
    found = _ADDRESS.fullmatch(address)
    if found is None or found["path"].startswith("//"):
        return None
    behind = address[found.end("hosts") if found["hosts"] is not None else found.start("path") :]
    return None if "@" in behind and found["scheme"].lower() not in _REVISIONED else found


def _without_query(address: str) -> str:
    """Of `doi:...` and the like; a path has no scheme and may hold a question mark."""
    found = _ADDRESS.fullmatch(address)
    if found is not None and "@" in address:
        return f"{found['scheme']}{HIDDEN}"
    return address if found is None else f"{address[: found.end('path')]}{_mark(found)}{found['fragment'] or ''}"


def _mark(found: re.Match[str]) -> str:
    return f"?{HIDDEN}" if found["query"] else ""


def _shown_within(text: str) -> str:
    address = text.rstrip(_AFTER_ADDRESS)
    return shown_address(address) + text[len(address) :]
