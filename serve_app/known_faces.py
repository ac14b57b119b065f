"""The names of the faces for the tools of others. Each is a folder, so nothing needs to be imported to know them."""

from collections.abc import Iterable
from pathlib import Path

_ALWAYS_MOUNTED = ("admin", "legacy", "system", "v1")

KNOWN_FACES = tuple(
    sorted(
        init.parent.name
        for init in (Path(__file__).parent / "faces").glob("*/__init__.py")
        if init.parent.name not in _ALWAYS_MOUNTED
    )
)

NEEDS_OTHERS: frozenset[str] = frozenset({"label_studio", "vss"})
"""Faces that open connections to elsewhere, or need Redis, and are mounted only where they are named."""

GRPC_FACE = "open_inference"
"""The face that is there over gRPC as well, where a port is set."""

DEFAULT_FACES = tuple(name for name in KNOWN_FACES if name not in NEEDS_OTHERS)


def check_faces(names: Iterable[str]) -> None:
    """Raises ValueError for a name that is no face which can be chosen."""
    for name in names:
        if name not in KNOWN_FACES:
            raise ValueError(f"there is no face {name!r}; there are {', '.join(KNOWN_FACES)}")
