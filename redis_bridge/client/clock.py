"""The time that records in Redis carry: the server's, but steady when its clock is set.

Bridges on several machines agree on the server's clock. That may be set forward by minutes at any moment; a job that
was tried a second ago has not waited for minutes then, and a bridge whose heartbeat has expired is not dead.
"""

import time


class SteadyClock:
    """Follows the server's clock from heartbeat to heartbeat, except over jumps of more than `jump_s`.
    settle_s: how long after a jump nothing that expires can be trusted."""

    def __init__(self, jump_s: float, settle_s: float) -> None:
        self.jump_s = jump_s
        self._settle_s = settle_s
        self._born_s = time.monotonic()
        self._offset_s = time.time() - self._born_s
        self._server_offset_s: float | None = None
        self._jumped_at_s = float("-inf")

    def now_s(self) -> float:
        """Unix time as the server shows it, jumps left out."""
        return time.monotonic() + self._offset_s

    def expected_s(self) -> float:
        """What the server's clock shows now, unless it was set since the last observation."""
        offset_s = self._offset_s if self._server_offset_s is None else self._server_offset_s
        return time.monotonic() + offset_s

    @property
    def is_settled(self) -> bool:
        """Whether no jump was seen of late."""
        return time.monotonic() - self._jumped_at_s >= self._settle_s

    def waited_s(self, since_s: float) -> float:
        """Seconds since `since_s`, of which this bridge can say that they have passed: no more than it lives."""
        return max(0.0, min(self.now_s() - since_s, time.monotonic() - self._born_s))

    def observe(self, server_s: float, asked_at_s: float) -> bool:
        """The server's clock showed `server_s` between `asked_at_s`, in monotonic seconds, and now. Returns whether
        it was set meanwhile."""
        latest_s, earliest_s = server_s - asked_at_s, server_s - time.monotonic()
        offset_s = (latest_s + earliest_s) / 2
        if self._server_offset_s is None:
            self._offset_s = self._server_offset_s = offset_s
            return False
        moved_s = max(earliest_s - self._server_offset_s, self._server_offset_s - latest_s, 0.0)
        has_jumped = moved_s > self.jump_s
        if has_jumped:
            self._jumped_at_s = time.monotonic()
        else:
            self._offset_s += offset_s - self._server_offset_s
        self._server_offset_s = offset_s
        return has_jumped
