"""Where the cache of weights is and whether the network may be used. Read from the environment, which is the same
for the launcher, the replicas and `python -m deployments.weights`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from deployments.definition import Settings
from deployments.errors import ModelUnavailable

PREFIX = "FATHOM_WEIGHTS_"
DEFAULT_FOLDER = Path("~/.cache/fathomnet-serve/weights")


class WeightsSettings(Settings):
    """The field `dir` is the environment variable FATHOM_WEIGHTS_DIR, and so on."""

    dir: Path = DEFAULT_FOLDER
    """The cache folder. XDG_CACHE_HOME moves the default."""

    offline: bool = False
    """Whether the network is never touched."""

    mirror: str | None = Field(default=None, min_length=1)
    """Address of a web server with the files of an exported cache, asked instead of the internet."""

    @field_validator("mirror")
    @classmethod
    def _is_plain_address(cls, value: str | None) -> str | None:
        return None if value is None else plain_address(value)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """The settings in `environ`; an empty value counts as not set. Raises ModelUnavailable naming the
        variable that is wrong."""
        values = {field: environ[PREFIX + field.upper()] for field in cls.model_fields if environ.get(name_of(field))}
        if environ.get("XDG_CACHE_HOME"):
            values.setdefault("dir", f"{environ['XDG_CACHE_HOME']}/fathomnet-serve/weights")
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            # Without the value, which may hold a password.
            raise ModelUnavailable(f"{name_of(str(first['loc'][0]))}: {first['msg']}") from None

    @property
    def folder(self) -> Path:
        """`dir` as an absolute path."""
        try:
            return self.dir.expanduser().absolute()
        except RuntimeError:
            raise ModelUnavailable(
                f"this user has no home folder; set {name_of('dir')} to a folder, or HOME"
            ) from None


def name_of(field: str) -> str:
    """The environment variable of a field."""
    return f"{PREFIX}{field.upper()}"


def plain_address(value: str) -> str:
    """`value` without a slash at its end, when it is an http(s) address and no more. Raises ValueError."""
    url = urlsplit(value)
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.query or url.fragment:
        raise ValueError("must be http://HOST[:PORT][/PATH] or https://..., without user, query and fragment")
    return value.rstrip("/")
