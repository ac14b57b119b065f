"""URIs of weights: where a file comes from and where it lies in the cache. Touches neither disk nor network.

A URI is hostile until it is parsed: only the schemes of the table, and only plain names as parts of a path, so
that nothing of it can lead out of the cache folder.

    hf://OWNER/REPO[@REVISION]/PATH/FILE      a file of a model repository on Hugging Face
    hf://OWNER/REPO[@REVISION]                the repository as a folder that `transformers` has saved
    doi:10.5281/zenodo.RECORD/FILE            a file of a Zenodo record
    https://HOST/PATH/FILE                    any other server
    file:///ABSOLUTE/PATH/FILE                a file of this machine, such as a disk that is carried on board
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from deployments.definition import URI_PATTERN, WeightsSource
from deployments.process.shown_address import shown_address

SCHEMES = ("hf", "doi", "https", "file")

RESERVED_ENDINGS = (".record.json", ".part", ".part.json", ".lock")
"""What the cache itself puts beside a file."""

MAX_URI_LENGTH = 2048
_MAX_PARTS = 16
_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.+=-]{0,199}$")
_WEIGHTS_ENDING = re.compile(r"\.(pt|pth|h5|keras|onnx|safetensors|bin|zip)$")
_ZENODO = re.compile(r"^10\.5281/zenodo\.([0-9]{1,12})/([^/]+)$")


class InvalidWeightsUri(ValueError):
    """A URI that is not understood or not allowed; the text names it and says what is allowed."""


@dataclass(frozen=True, slots=True)
class WeightsUri:
    """A parsed URI of weights."""

    text: str
    """The URI as it was given."""

    scheme: str
    """One of `SCHEMES`."""

    key: PurePosixPath
    """The file's path within the cache folder, and on a mirror."""

    address: str
    """What to ask for. Of `hf` and `doi` without the host: "OWNER/REPO/resolve/REVISION/PATH", "RECORD/FILE"; of
    `https` the whole URL; of `file` the absolute path."""

    is_folder: bool = False
    """Whether it names a folder, of which a few files are fetched (folders.py)."""

    @property
    def shown(self) -> str:
        """The URI for people, without the signature of a presigned address."""
        return shown_address(self.text)

    @property
    def needs_network(self) -> bool:
        """Whether the file comes over the network."""
        return self.scheme != "file"


def parse_uri(source: WeightsSource) -> WeightsUri:
    """Parse the URI of `source`. Raises InvalidWeightsUri."""
    uri = source.uri
    if len(uri) > MAX_URI_LENGTH or any(ord(character) <= 32 or ord(character) == 127 for character in uri):
        raise InvalidWeightsUri(
            f"uri must be at most {MAX_URI_LENGTH} printable characters without blanks, {_got(uri)}"
        )
    match = URI_PATTERN.match(uri)
    scheme = match.group().removesuffix(":").lower() if match else ""
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}:" for name in SCHEMES)
        raise InvalidWeightsUri(f"uri must begin with one of {known}, {_got(uri)}")
    parse = {"hf": _hugging_face, "doi": _zenodo, "https": _https, "file": _file}[scheme]
    return parse(source)


def _hugging_face(source: WeightsSource) -> WeightsUri:
    rest = source.uri.partition("://")[2]
    owner, _, behind = rest.partition("/")
    repository, _, path = behind.partition("/")
    repository, _, revision = repository.partition("@")
    revision = revision or source.revision or "main"
    is_folder = not path and not rest.endswith("/") and _WEIGHTS_ENDING.search(repository) is None
    names = [] if is_folder else path.split("/")
    parts = _names(source.uri, [owner, repository, revision, *names], "hf://OWNER/REPO[@REVISION]/FILE")
    address = "/".join([*parts[:2], "resolve", *parts[2:]])
    return WeightsUri(source.uri, "hf", PurePosixPath("hf", *parts), address, is_folder)


def _zenodo(source: WeightsSource) -> WeightsUri:
    match = _ZENODO.match(source.uri.partition(":")[2])
    if match is None:
        raise InvalidWeightsUri(
            f"of DOIs only files of Zenodo are known, doi:10.5281/zenodo.RECORD/FILE, {_got(source.uri)}"
        )
    record, name = match.groups()
    _names(source.uri, [name], "doi:10.5281/zenodo.RECORD/FILE")
    key = PurePosixPath("doi", "10.5281", f"zenodo.{record}", name)
    return WeightsUri(source.uri, "doi", key, f"{record}/{name}")


def _https(source: WeightsSource) -> WeightsUri:
    try:
        url = urlsplit(source.uri)
        host, port = url.hostname, url.port
    except ValueError as error:
        del error  # Its text repeats what it could not read, which may be a password.
        raise InvalidWeightsUri(f"not a valid address: {shown_address(source.uri)!r}") from None
    if url.username is not None or url.password is not None or url.fragment:
        raise InvalidWeightsUri("an https address may hold no user, no password and no #fragment")
    name = PurePosixPath(unquote(url.path)).name
    _names(source.uri, [host or "", name], "https://HOST/PATH/FILE")
    folder = f"{host}_{port}" if port else str(host)
    return WeightsUri(source.uri, "https", PurePosixPath("https", folder, _short_hash(source.uri), name), source.uri)


def _file(source: WeightsSource) -> WeightsUri:
    url = urlsplit(source.uri)
    path = PurePosixPath(unquote(url.path))
    if url.netloc not in ("", "localhost") or not path.is_absolute() or ".." in path.parts or "\0" in str(path):
        raise InvalidWeightsUri(f"a file is named as file:///ABSOLUTE/PATH without .., {_got(source.uri)}")
    _names(source.uri, [path.name], "file:///ABSOLUTE/PATH/FILE")
    return WeightsUri(source.uri, "file", PurePosixPath("file", _short_hash(str(path)), path.name), str(path))


def _names(uri: str, parts: list[str], form: str) -> list[str]:
    """`parts`, when each is a plain name and the last is not a name that the cache uses itself."""
    bad = next((part for part in parts if _NAME.match(part) is None), None)
    if bad is not None:
        raise InvalidWeightsUri(
            f"uri must have the form {form} with plain names (letters, digits, _ . + = -), {_got(uri)}"
        )
    if len(parts) > _MAX_PARTS:
        raise InvalidWeightsUri(
            f"uri may have at most {_MAX_PARTS} parts, got {len(parts)} in {shown_address(uri)!r}"
        )
    if parts[-1].endswith(RESERVED_ENDINGS):
        raise InvalidWeightsUri(f"a file of weights may not end in {', '.join(RESERVED_ENDINGS)}, {_got(uri)}")
    return parts


def _got(uri: str) -> str:
    return f"got {shown_address(uri)[:200]!r}"


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
