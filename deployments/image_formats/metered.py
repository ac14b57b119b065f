"""A file in memory that a decoder reads for a limited time only."""

import io
import time

from deployments.errors import DeadlineExceeded, ImageTooLarge

SMALL_BYTES = 64 * 1024
"""What a decoder reads at once."""


class MeteredFile(io.BytesIO):
    """Each `read` raises ImageTooLarge after `cpu_s` seconds of this thread's own time, and DeadlineExceeded after
    `ends_at_s` on the monotonic clock, so that a decoder stops soon after either.

    It counts the thread that makes it, from then on.
    """

    def __init__(self, content: bytes, cpu_s: float, ends_at_s: float) -> None:
        super().__init__(content)
        self._cpu_s = cpu_s
        self._ends_at_s = ends_at_s
        self._started_cpu_s = time.thread_time()
        self._check_again_at_s = min(time.monotonic() + cpu_s, ends_at_s)

    @classmethod
    def of(cls, content: bytes, cpu_s: float, ends_at_s: float) -> io.BytesIO:
        """A plain file where there is so little to read that metering costs more than it can save."""
        return io.BytesIO(content) if len(content) <= SMALL_BYTES else cls(content, cpu_s, ends_at_s)

    def read(self, size: int | None = -1, /) -> bytes:
        """As of any file."""
        # Time on the wall passes at least as fast, and asking for it is cheaper.
        if time.monotonic() >= self._check_again_at_s:
            self._check()
        return super().read(size)

    def _check(self) -> None:
        now_s = time.monotonic()
        if now_s >= self._ends_at_s:
            raise DeadlineExceeded("the time was over while the image was decoded")
        left_s = self._started_cpu_s + self._cpu_s - time.thread_time()
        if left_s <= 0:
            raise ImageTooLarge(
                f"decoding the image takes more than {self._cpu_s:g} s of CPU time, which is the limit"
            )
        self._check_again_at_s = min(now_s + left_s, self._ends_at_s)
