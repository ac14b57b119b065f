"""How much one key may ask for: requests per second, and requests under way.

Several doors know nothing of each other's requests. Each has its share, the limit divided by the number of doors, so
that all together keep it: of requests per second exactly; of a burst, and of those under way, with at most one more
for each further door, as every door lets one in. A door counts that is to run, though it does not yet, or no longer
does. When the configuration asks for another number, a door may go by the old one for some seconds, until its view
of the system is a new one. Requests that are not spread evenly are refused a little early.
"""

import math
from dataclasses import dataclass, field

from serve_app.access.keys import Key


@dataclass(frozen=True, slots=True)
class Refused:
    """A request over a limit."""

    detail: str

    retry_after_s: int


@dataclass(slots=True)
class Allowance:
    """What is left of the limits of one key in this door."""

    tokens: float = math.inf
    """Requests that may come at once; as many as a burst has, to begin with."""

    at_s: float = 0.0
    """When `tokens` was right, on the monotonic clock."""

    under_way: int = 0

    def take(self, key: Key, doors: int, now_s: float) -> Refused | None:
        """Counts a request that begins; one that is refused is not counted."""
        if key.concurrency is not None and self.under_way >= math.ceil(key.concurrency / doors):
            return Refused(f"the key {key.name} has {key.concurrency} requests under way, which is its limit", 1)
        if key.requests_per_s is not None:
            per_s = key.requests_per_s / doors
            burst = key.burst if key.burst is not None else math.ceil(key.requests_per_s)
            self.tokens = min(self.tokens + (now_s - self.at_s) * per_s, max(1.0, burst / doors))
            self.at_s = now_s
            if self.tokens < 1:
                wait_s = math.ceil((1 - self.tokens) / per_s)
                return Refused(f"the key {key.name} may send {key.requests_per_s:g} requests per second", wait_s)
            self.tokens -= 1
        self.under_way += 1
        return None

    def end(self) -> None:
        """A counted request has ended."""
        self.under_way -= 1


@dataclass(slots=True)
class Allowances:
    """Those of all keys, by name: a key that is exchanged for another under its name goes on with what is left."""

    by_name: dict[str, Allowance] = field(default_factory=dict)

    def of(self, key: Key) -> Allowance:
        """That of `key`, a new one at its first request."""
        return self.by_name.setdefault(key.name, Allowance())

    def keep(self, names: frozenset[str]) -> None:
        """Forgets all others."""
        if len(self.by_name) > len(names):
            self.by_name = {name: left for name, left in self.by_name.items() if name in names}
