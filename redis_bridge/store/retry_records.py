"""What is remembered of a job that was tried before and is not done: its attempts, since when, and a suspicion.

Most jobs have no record: it is written when an attempt fails, when a job is requeued, and when its bridge dies. It
stands under a fingerprint of the payload, so that it is known before the payload is decoded: decoding may be what
kills a bridge.
"""

import hashlib
import re
from dataclasses import dataclass, replace

from redis_bridge.wire.encoding_contract import Payload

FINGERPRINT_BYTES = 1024
"""From the front and from the end of a payload. Clients write the id at one of the two, or within an image
of a few hundred bytes; jobs that differ nowhere there would share their attempts."""

FINGERPRINT = f"""
local function fingerprint(text)
  local ends = string.sub(text, 1, {FINGERPRINT_BYTES}) .. string.sub(text, -{FINGERPRINT_BYTES})
  return redis.sha1hex(#text .. ':' .. ends)
end
"""
"""The same for scripts in Redis."""

SUSPECT = " suspect"
APART = " apart"
_RECORD = re.compile(rf"(\d+) (\d+(?:\.\d+)?)({SUSPECT}({APART})?)?")


@dataclass(frozen=True, slots=True)
class RetryRecord:
    """The history of one job."""

    attempts: int
    """Attempts that failed, or took a bridge down."""

    first_s: float
    """Unix time of the first, by the server's clock."""

    is_suspect: bool = False
    """It was in flight when a bridge died, perhaps beside the job that killed it."""

    is_apart: bool = False
    """It was on trial then, and not alone, so it is next tried while no other suspect is."""

    def failed(self) -> "RetryRecord":
        """After one more attempt that its bridge survived."""
        return replace(self, attempts=self.attempts + 1)

    def text(self) -> str:
        """As it stands in Redis."""
        suspicion = (SUSPECT + (APART if self.is_apart else "")) if self.is_suspect else ""
        return f"{self.attempts} {self.first_s:.3f}{suspicion}"


def record_from(text: bytes | None) -> RetryRecord | None:
    """The record that stands in Redis; None where there is none, or something else."""
    found = _RECORD.fullmatch(text.decode(errors="replace")) if text else None
    return RetryRecord(int(found[1]), float(found[2]), bool(found[3]), bool(found[4])) if found else None


def fingerprint(text: Payload) -> str:
    """40 hexadecimal digits that stand for a payload."""
    ends = bytes(text[:FINGERPRINT_BYTES]) + bytes(text[-FINGERPRINT_BYTES:])
    return hashlib.sha1(f"{len(text)}:".encode() + ends, usedforsecurity=False).hexdigest()
