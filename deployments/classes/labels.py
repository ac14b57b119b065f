"""The class names of a model: read from a text file, and checked for their number and size."""

from collections.abc import Sequence
from pathlib import Path

MAX_LABELS = 22_000
"""Classes of one model. With the bytes of their names it bounds what one call of a classifier answers: calls between
processes have a limit of 4 MiB, for answers too, and how large one becomes is not known when it is asked for."""

MAX_LABELS_BYTES = 2**20
"""Of all names together, in UTF-8."""

_REPOSITORY = Path(__file__).resolve().parents[2]


def read_labels(path: str) -> tuple[str, ...]:
    """The class names in a text file, one a line. Raises ValueError when it cannot be read or names none."""
    try:
        with (_REPOSITORY / path).open("rb") as file:
            data = file.read(MAX_LABELS_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"labels_file {path!r} cannot be read: {error}") from error
    if len(data) > MAX_LABELS_BYTES:
        raise ValueError(f"labels_file {path!r} has more than {MAX_LABELS_BYTES} bytes")
    labels = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not labels:
        raise ValueError(f"labels_file {path!r} names no class")
    return labels


def check_labels(labels: Sequence[str]) -> None:
    """Raises ValueError when these are more classes, or longer names, than a model may have, or names that no answer
    can hold."""
    if len(labels) > MAX_LABELS:
        raise ValueError(f"labels: {len(labels)} classes, the limit is {MAX_LABELS}")
    for index, label in enumerate(labels):
        try:
            label.encode()
        except UnicodeEncodeError:
            # Files may hold halves of characters, which UTF-8 and JSON do not have.
            raise ValueError(f"labels: the name of class {index} is no text: {label[:40]!r}") from None
    size_bytes = sum(len(label.encode("utf-8", "replace")) for label in labels)
    if size_bytes > MAX_LABELS_BYTES:
        raise ValueError(f"labels: the names have {size_bytes} bytes, the limit is {MAX_LABELS_BYTES}")
