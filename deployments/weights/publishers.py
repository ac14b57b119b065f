"""Where the two publishers with a URI scheme of their own are, and what they and mirrors say of a file beforehand."""

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from deployments.weights.cache import parse_record
from deployments.weights.transfer import Published


@dataclass(frozen=True, slots=True)
class Publishers:
    """Addresses of the two publishers that have a URI scheme of their own."""

    hugging_face: str = "https://huggingface.co"
    zenodo: str = "https://zenodo.org"


def learn_from_mirror(text: bytes | None, published: Published) -> None:
    """What the record beside a file on a mirror says, and who vouches for it. Ignores an answer of another shape."""
    if text is None:
        return
    with contextlib.suppress(ValidationError):
        record = parse_record(text)
        published.digests["sha256"] = record.sha256
        published.origin = record.sha256_from
        published.size_bytes = published.size_bytes or record.size_bytes
        published.commit = record.commit


def learn_from_zenodo(text: bytes | None, name: str, published: Published) -> None:
    """Size and MD5, which is all that Zenodo publishes about a file. Ignores an answer of another shape."""
    if text is None:
        return
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        files: list[dict[str, Any]] = json.loads(text)["files"]
        about = next((one for one in files if one.get("key") == name), {})
        algorithm, _, digest = str(about.get("checksum", "")).partition(":")
        if algorithm == "md5" and digest:
            published.digests["md5"] = digest
        if isinstance(about.get("size"), int):
            published.size_bytes = published.size_bytes or about["size"]
