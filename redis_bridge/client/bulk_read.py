"""A large job on its way from Redis into memory: in a thread, its payload copied once.

redis-py's asyncio connection reads a text of 15 MB in 60 pieces and copies each of them four times: more processor
time than all else that is done with the job. Here the connection is redis-py's, with all that belongs to connecting,
and only the answer is read by hand, from the socket straight into its place.
"""

import socket
from typing import Any

import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from redis_bridge.client.buffers import Buffers

_HEAD_BYTES = 4096


class BulkReader:
    """Moves jobs over connections of its own. client: speaks RESP 2, as the answers are read in it."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._buffers = Buffers()

    def move(self, queue: str, slot: str, records: str) -> tuple[memoryview | None, bool]:
        """LMOVE of the oldest job of `queue` into `slot`: its text, None when none waits; whether `records` exists.

        Blocks, so it is run in a thread; may be called from several. Raises what connection.REDIS_ERRORS lists.
        """
        pool: Any = self._client.connection_pool
        connection: Any = pool.get_connection()
        try:
            commands = [("LMOVE", queue, slot, "LEFT", "RIGHT"), ("EXISTS", records)]
            connection.send_packed_command(connection.pack_commands(commands))
            # The library's name for its socket has been the same since its first version.
            answers = _Answers(connection._sock, self._buffers)
            return answers.text(), answers.number() > 0
        except BaseException:
            # What is still to be read would be taken for the answer to the next command.
            connection.disconnect()
            raise
        finally:
            pool.release(connection)

    def reuse(self, text: memoryview) -> None:
        """Reads a later job into the place of `text`, which is not needed any more."""
        self._buffers.release(text)

    def close(self) -> None:
        """Gives the connections back."""
        self._client.close()


class _Answers:
    """Reads answers of Redis one after the other: https://redis.io/docs/latest/develop/reference/protocol-spec/."""

    def __init__(self, connected: socket.socket, buffers: Buffers) -> None:
        self._socket = connected
        self._buffers = buffers
        self._ahead = b""

    def number(self) -> int:
        return int(self._head(b":"))

    def text(self) -> memoryview | None:
        size_bytes = int(self._head(b"$"))
        if size_bytes < 0:
            return None
        text = self._buffers.take(size_bytes)
        there = min(size_bytes, len(self._ahead))
        text[:there], self._ahead = self._ahead[:there], self._ahead[there:]
        while there < size_bytes:
            there += self._something(self._socket.recv_into(text[there:]))
        self._line()
        return text

    def _head(self, kind: bytes) -> bytes:
        line = self._line()
        if line.startswith(b"-"):
            raise ResponseError(line[1:].decode(errors="replace"))
        if not line.startswith(kind):
            raise RedisConnectionError(f"Redis answered {line[:40]!r} where {kind!r} was due")
        return line[1:]

    def _line(self) -> bytes:
        while b"\r\n" not in self._ahead:
            more = self._socket.recv(_HEAD_BYTES)
            self._something(len(more))
            self._ahead += more
        line, _, self._ahead = self._ahead.partition(b"\r\n")
        return line

    @staticmethod
    def _something(size_bytes: int) -> int:
        if size_bytes == 0:
            raise RedisConnectionError("Redis closed the connection")
        return size_bytes
