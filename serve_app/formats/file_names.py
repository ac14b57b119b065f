"""Texts from clients and from weights, made safe for the place that they go to.

A file's name comes from whoever uploads it, a label from whoever made the weights. Neither may name a folder, end a
line, run as a formula when a table is opened, or make two entries of a zip one.
"""

import unicodedata
from pathlib import PurePosixPath

MAX_NAME_CHARACTERS = 200
"""Of a file's name; file systems allow 255 bytes."""

_NOT_IN_FILE_NAMES = str.maketrans(dict.fromkeys('<>:"|?*\\/', "_"))
"""What Windows refuses in names, or takes for a folder."""

_STARTS_A_FORMULA = ("=", "+", "-", "@")


_NOT_SHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode's categories of control characters, marks that turn the direction of writing, surrogates, ends of lines."""


def plain(text: str, instead: str = " ") -> str:
    """`text` in one line, with another character instead of each that is not shown; nothing around it."""
    if text.isprintable():
        return text.strip()
    return "".join(instead if unicodedata.category(one) in _NOT_SHOWN else one for one in text).strip()


def base_name(file_name: str, number: int) -> str:
    """The last part of a client's path, of either kind of slash; "image-2.jpg" where nothing of it is left."""
    name = plain(file_name.replace("\\", "/").rsplit("/", 1)[-1], "_")
    if name.strip(". ") == "":
        return f"image-{number}.jpg"
    if len(name) <= MAX_NAME_CHARACTERS:
        return name
    suffix = PurePosixPath(name).suffix[:10]
    return name[: MAX_NAME_CHARACTERS - len(suffix)] + suffix


def cell(text: str) -> str:
    """`text` for a table: what a spreadsheet would run as a formula begins with an apostrophe instead."""
    shown = plain(text)
    return f"'{shown}" if shown.startswith(_STARTS_A_FORMULA) else shown


class EntryNames:
    """Names of the files in one zip: each once, on file systems that take upper and lower case for the same too."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def next_after(self, file_name: str, extension: str) -> str:
        """The name for what was made of the image `file_name`, which is a base name."""
        stem = PurePosixPath(file_name.translate(_NOT_IN_FILE_NAMES)).stem.strip(". ") or "image"
        name, number = f"{stem}.{extension}", 1
        while name.casefold() in self._given:
            number += 1
            name = f"{stem}-{number}.{extension}"
        self._given.add(name.casefold())
        return name
