"""Compressed bodies: gzip and deflate, which for HTTP is zlib's format. What comes in expands within limits."""

import asyncio
import gzip
import zlib
from collections.abc import Iterator

from deployments.byte_budget import HeldBytes
from deployments.errors import ImageTooLarge, InvalidRequest

GZIP = "gzip"
DEFLATE = "deflate"
ENCODINGS = (GZIP, DEFLATE)

_WINDOW = {GZIP: 31, DEFLATE: 15}
"""zlib's `wbits` for each header."""

_PIECE_BYTES = 2**20
_LEVEL = 1
"""Numbers hardly become smaller by more work."""


async def expanded(body: bytes, encoding: str, max_bytes: int, held: HeldBytes) -> bytearray:
    """The body as it was before `encoding`. Its bytes are taken as they appear. Raises ImageTooLarge over
    `max_bytes`, InvalidRequest for what is not of this encoding, or ends too early or too late, and what
    `HeldBytes.grow` raises."""
    found = bytearray()
    pieces = _pieces(body, encoding)
    # A thread for each piece, and the bytes taken here: a thread may go on when the request is over.
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        held.grow(len(piece))
        if len(found) + len(piece) > max_bytes:
            raise ImageTooLarge(f"the upload expands to more than {max_bytes} bytes, which is the limit")
        found += piece
    return found


def _pieces(body: bytes, encoding: str) -> Iterator[bytes]:
    expander = zlib.decompressobj(_WINDOW[encoding])
    view = memoryview(body)
    try:
        for start in range(0, len(body), _PIECE_BYTES):
            left: bytes | memoryview = view[start : start + _PIECE_BYTES]
            while len(left) and not expander.eof:
                if piece := expander.decompress(left, _PIECE_BYTES):
                    yield piece
                left = expander.unconsumed_tail
            if expander.eof and (expander.unused_data or start + _PIECE_BYTES < len(body)):
                raise InvalidRequest(f"bytes stand after the end of the body in {encoding}")
        while not expander.eof and (piece := expander.decompress(b"", _PIECE_BYTES)):
            yield piece
    except zlib.error as error:
        raise InvalidRequest(f"the body is not {encoding}, as content-encoding says: {error}") from None
    if not expander.eof:
        raise InvalidRequest(f"the body in {encoding} is cut off before its end")


def accepted(header: str) -> str:
    """The encoding for an answer, by a header `Accept-Encoding`; '' for none."""
    shares = {}
    for part in header.lower().split(",")[:16]:
        name, _, parameters = part.partition(";")
        shares[name.strip()] = "".join(parameters.split())
    wanted = [one for one in ENCODINGS if one in shares and shares[one] not in ("q=0", "q=0.0", "q=0.00", "q=0.000")]
    return wanted[0] if wanted else ""


def compressed(body: bytes, encoding: str) -> bytes:
    """The body in one of ENCODINGS."""
    return gzip.compress(body, _LEVEL, mtime=0) if encoding == GZIP else zlib.compress(body, _LEVEL)
