"""How much is kept, and what names may be like."""

from deployments.errors import InvalidRequest

MAX_PROJECTS = 32

MAX_VECTORS = 100_000
"""Of one project. All of them are looked at for each image: about 0.1 s for 32 images at 768 numbers."""

MAX_PROJECT_BYTES = 320 * 2**20
"""Of one project: MAX_VECTORS at 768 numbers, and fewer at more. At 4 bytes for each number."""

MAX_DIMENSION = 4096
"""Numbers of one vector."""

MAX_BATCH = 32
"""Vectors that are made, added or searched for at once."""

MAX_NEIGHBOURS = 100
"""That are found for one image."""

MAX_JOBS = 1024
"""Whose answers are kept at once."""

MAX_JOB_BYTES = 3 * 2**20
"""Of one answer: 512 embeddings of 1024 numbers. It travels by Serve's gRPC, which has a limit of 4 MiB."""

LONGEST_PROJECT = 100
LONGEST_NAME = 200
"""Characters of a label, and of an id."""


def checked_name(text: str, what: str, longest: int = LONGEST_NAME) -> str:
    """`text` itself. Raises InvalidRequest where it cannot be a name: printable characters, no space at either end.
    what: what it names, for the message."""
    if not text or len(text) > longest or not text.isprintable() or text != text.strip():
        raise InvalidRequest(
            f"{what} must be 1 to {longest} printable characters without spaces around them, got {text[:50]!r}"
        )
    return text


def most_vectors(dimension: int) -> int:
    """How many vectors with `dimension` numbers a project may have."""
    return min(MAX_VECTORS, MAX_PROJECT_BYTES // (4 * dimension))
