"""Answers for one image each, made into one file: where a format can hold many images, and it can be done right.

The server writes a file for each request. Rows of CSV go under one header; numbers that tell images, annotations and
categories apart are given anew, as each file counts from its own beginning.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from fathom_client.errors import UnexpectedAnswer


@dataclass(frozen=True, slots=True)
class Part:
    """The file for one image. number: of the image among all inputs, from 1. name: its path."""

    number: int
    name: str
    content: bytes


def joined_rows(parts: Sequence[Part]) -> bytes:
    """CSV with one header."""
    header = b""
    bodies = []
    for part in parts:
        first, _, body = part.content.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
        header = header or first
        if first.rstrip() != header.rstrip():
            raise UnexpectedAnswer(f"{part.name}: its columns are not those of the files before")
        bodies.append(body if not body or body.endswith(b"\n") else body + b"\n")
    return header + b"\n" + b"".join(bodies)


def joined_viame(parts: Sequence[Part]) -> bytes:
    """VIAME's CSV: comments, then rows that begin with a number of the track, an image and a number of the frame. It
    has no quotes, so that a comma always ends a cell."""
    joined: list[str] = []
    tracks = count()
    for part in parts:
        lines = part.content.decode("utf-8-sig").splitlines()
        if part is parts[0]:
            joined += [line for line in lines if line.startswith("#")]
        own: dict[str, int] = {}
        for line in lines:
            if line and not line.startswith("#"):
                track, image, _, rest = line.split(",", 3)
                number = own[track] if track in own else own.setdefault(track, next(tracks))
                joined.append(f"{number},{image},{part.number - 1},{rest}")
    return "".join(f"{line}\n" for line in joined).encode()


def joined_list(parts: Sequence[Part]) -> bytes:
    """A list of JSON whose members say to which image they belong."""
    rows: list[Any] = []
    for part in parts:
        found = json.loads(part.content)
        if not isinstance(found, list):
            raise TypeError(f"a {type(found).__name__} instead of a list")
        rows += found
    return _written(rows)


def joined_results(parts: Sequence[Part]) -> bytes:
    """COCO's results: images are numbered as the inputs are, from 1; where they are named, by their paths."""
    rows: list[dict[str, Any]] = []
    for part in parts:
        for row in json.loads(part.content):
            if not isinstance(row["image_id"], int):
                raise TypeError("an image_id that is no number")
            named = {"file_name": part.name} if "file_name" in row else {}
            rows.append({**row, "image_id": part.number, **named})
    return _written(rows)


def joined_dataset(parts: Sequence[Part]) -> bytes:
    """A COCO dataset: images are numbered as the inputs are, and named by their paths."""
    joined: dict[str, Any] = {}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories = _Categories()
    for part in parts:
        document = json.loads(part.content)
        joined = joined or document
        new_ids = {one["id"]: categories.id_of(one["id"], one["name"], one) for one in document["categories"]}
        [image] = document["images"]
        images.append({**image, "id": part.number, "file_name": part.name})
        for row in document["annotations"]:
            category = new_ids[row["category_id"]]
            annotations.append({**row, "id": len(annotations) + 1, "image_id": part.number, "category_id": category})
    listed = [{**row, "id": number} for number, row in sorted(categories.rows.items())]
    return _written({**joined, "images": images, "annotations": annotations, "categories": listed})


def joined_megadetector(parts: Sequence[Part]) -> bytes:
    """MegaDetector's JSON: images are named by their paths."""
    joined: dict[str, Any] = {}
    images = []
    categories = _Categories()
    for part in parts:
        document = json.loads(part.content)
        if document.get("classification_categories") != joined.get("classification_categories") and joined:
            raise UnexpectedAnswer(f"{part.name}: its classification categories are not those of the files before")
        joined = joined or document
        new_ids = {
            old: str(categories.id_of(int(old), name, {"name": name}))
            for old, name in document["detection_categories"].items()
        }
        [image] = document["images"]
        found = [{**row, "category": new_ids[row["category"]]} for row in image.get("detections") or ()]
        images.append({**image, "file": part.name, "detections": found})
    listed = {str(number): row["name"] for number, row in sorted(categories.rows.items())}
    return _written({**joined, "images": images, "detection_categories": listed})


class _Categories:
    """Numbers of categories that hold for all parts: a name keeps its first number, where that is free."""

    def __init__(self) -> None:
        self.rows: dict[int, Mapping[str, Any]] = {}
        self._by_name: dict[str, int] = {}

    def id_of(self, wanted: int, name: str, row: Mapping[str, Any]) -> int:
        if name not in self._by_name:
            number = wanted if wanted not in self.rows else max(self.rows) + 1
            self._by_name[name] = number
            self.rows[number] = row
        return self._by_name[name]


def _written(document: Any) -> bytes:
    """Bytes of a file's name that are no UTF-8 are written as JSON escapes them."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


JOINED: Mapping[str, Callable[[Sequence[Part]], bytes]] = {
    "coco": joined_results,
    "coco-dataset": joined_dataset,
    "fathomnet-csv": joined_rows,
    "megadetector": joined_megadetector,
    "tator": joined_list,
    "vars": joined_list,
    "viame-csv": joined_viame,
}
"""Formats of which many files become one."""

NAMED_BY_FILE = frozenset(("fathomnet-csv", "tator", "vars", "viame-csv"))
"""Those that tell images apart by the names of their files alone, without folders."""


def join(file_format: str, parts: Sequence[Part]) -> bytes:
    """Raises UnexpectedAnswer for what the server's format is not."""
    try:
        return JOINED[file_format](parts)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UnexpectedAnswer(
            f"files of the format {file_format} are not as they were expected, and cannot be joined "
            f"({type(error).__name__}: {error})"
        ) from error
