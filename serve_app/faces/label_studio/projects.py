"""What /setup says of a project: where its uploaded files are, and the token with which they are fetched.

Kept in memory, as Label Studio says it again before each batch of predictions. A host and its token are one value, so
that no token is ever sent to a host that came with another request. Where the door asks for API keys, what came with
one key counts for that key alone: nobody else's requests are answered with its token, or from another host.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from deployments.errors import InvalidRequest
from serve_app.faces.label_studio.messages import text_in
from serve_app.fetching.fetcher import Secret
from serve_app.fetching.web_address import LONGEST, WebAddress

MAX_PROJECTS = 1000
"""Of one key. The one that was not used for longest is forgotten."""

_MAX_TOKEN_CHARACTERS = 1000


@dataclass(frozen=True, slots=True)
class Uploads:
    """Where Label Studio itself is."""

    host: WebAddress
    token: str = ""

    @classmethod
    def said_in(cls, members: Mapping[str, Any]) -> Self | None:
        """What `hostname` and `access_token` say; None without the first. Raises InvalidRequest."""
        host = text_in(members, "hostname", LONGEST)
        token = text_in(members, "access_token", _MAX_TOKEN_CHARACTERS)
        if not host:
            return None
        if not token.isascii() or not token.isprintable():
            raise InvalidRequest("access_token must be plain ASCII")
        try:
            return cls(WebAddress.of(host), token)
        except ValueError as error:
            raise InvalidRequest(f"hostname: {error}") from None

    def address_of(self, path: str) -> str:
        """Of a file by its path. Label Studio itself may be below a path of its host, which is put before."""
        before = self.host.target.partition(b"?")[0].decode("ascii").rstrip("/")
        # Two slashes at the beginning would name another host.
        path = f"/{path.lstrip('/')}"
        if path.startswith(f"{before}/"):
            before = ""
        return f"{self.host.scheme}://{self.host.authority}{before}{path}"

    @property
    def secret(self) -> Secret | None:
        """The token, for this host only; None without one."""
        return Secret(f"Token {self.token}", self.host) if self.token else None


class Projects:
    """Remembers the uploads of each project. key: the name of the API key that asked; '' where none is asked for."""

    def __init__(self) -> None:
        self._known: dict[str, OrderedDict[str, Uploads]] = {}

    def remember(self, key: str, project: str, uploads: Uploads | None) -> None:
        """None: forgets it."""
        known = self._known.setdefault(key, OrderedDict())
        known.pop(project, None)
        if uploads is not None:
            known[project] = uploads
            if len(known) > MAX_PROJECTS:
                known.popitem(last=False)

    def of(self, key: str, project: str) -> Uploads | None:
        """None where /setup has not been called since this door started."""
        known = self._known.get(key, OrderedDict())
        if project in known:
            known.move_to_end(project)
        return known.get(project)
