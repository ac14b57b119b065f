"""Memory that the payloads of large jobs are read into, used again and again.

New memory for a text of 15 MB is filled with zeros first, by Python or by the kernel: a third as much work as
receiving the text.
"""

import threading
from collections import deque

SPARE_BYTES = 64 * 2**20
"""Kept between two payloads, beside those that are in use."""


class Buffers:
    """Gives memory out and takes it back; may be used by several threads."""

    def __init__(self, spare_bytes: int = SPARE_BYTES) -> None:
        self._most_bytes = spare_bytes
        self._spare: deque[bytearray] = deque()
        self._lock = threading.Lock()

    @property
    def spare_bytes(self) -> int:
        """Kept for later now."""
        return sum(map(len, self._spare))

    def take(self, size_bytes: int) -> memoryview:
        """`size_bytes` writable bytes, with anything in them."""
        with self._lock:
            for buffer in self._spare:
                # One that is much larger is left for a text of its size.
                if size_bytes <= len(buffer) <= 2 * size_bytes:
                    self._spare.remove(buffer)
                    return memoryview(buffer)[:size_bytes]
        return memoryview(bytearray(size_bytes))

    def release(self, text: memoryview) -> None:
        """`text`, which came from `take`, is used no more: it raises ValueError from now on."""
        buffer = text.obj
        assert isinstance(buffer, bytearray)
        text.release()
        with self._lock:
            self._spare.append(buffer)
            while self.spare_bytes > self._most_bytes:
                self._spare.popleft()
