"""The table of systems that answer over HTTP: a name to the function that starts it."""

from benchmarks.systems import handwritten, legacy, ours, plain_serve
from benchmarks.systems.contract import Start

OURS = "ours"
FAST = "ours-fast"
PLAIN = "plain-serve"
LEGACY = "legacy"
HANDWRITTEN = ("handwritten-1", "handwritten-2")
LIMIT = "limit"
"""No server: our own code in a loop. Not in the table, since nothing listens."""

SYSTEMS: dict[str, Start] = {
    OURS: ours.start,
    FAST: ours.start_fast,
    HANDWRITTEN[0]: handwritten.start_one,
    HANDWRITTEN[1]: handwritten.start_two,
    PLAIN: plain_serve.start,
    LEGACY: legacy.start,
}
