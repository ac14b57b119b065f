"""The dead letters as an operator sees them: listed, shown, and put back into their queues.

A letter has a number. The payload is kept for the newest `payloads` letters, within a number of bytes.
`JobStore.dead_letter` writes both.
"""

from dataclasses import dataclass

import redis
from pydantic import BaseModel, ValidationError

from redis_bridge import keys

REPLAY = """
-- KEYS: letters, payload, queue.  ARGV: the letter.  Returns whether the job is back in its queue.
if redis.call('EXISTS', KEYS[2]) == 0 or redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then
  return 0
end
redis.call('LMOVE', KEYS[2], KEYS[3], 'LEFT', 'RIGHT')
return 1
"""


class _Written(BaseModel):
    """A letter as it stands in Redis."""

    number: int
    time_s: float
    queue: str
    id: str | None
    code: str
    message: str
    size_bytes: int


class NoSuchLetter(Exception):
    """The letter, or the text of its job, is not kept any more. The message is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Letter:
    """One entry of the list. time_s: Unix time.  payload_key: where its job lies, if it is kept."""

    number: int
    time_s: float
    queue: str
    job_id: str | None
    code: str
    message: str
    size_bytes: int
    payload_key: str
    raw: bytes


class DeadLetters:
    """The dead letters of one Redis. payloads: the setting `dead_letter_payloads` of the bridges."""

    def __init__(self, client: redis.Redis, payloads: int) -> None:
        self._redis = client
        self._payloads = payloads
        self._replay = client.register_script(REPLAY)

    def all(self) -> list[Letter]:
        """Newest first. What other programs have put into the list is left out."""
        entries: list[bytes] = self._redis.lrange(keys.DEAD_LETTERS, 0, -1)  # type: ignore[assignment]
        return [letter for letter in map(self._letter, entries) if letter is not None]

    def find(self, number: int) -> Letter:
        """The letter with this number. Raises NoSuchLetter."""
        for letter in self.all():
            if letter.number == number:
                return letter
        raise NoSuchLetter(f"there is no dead letter with number {number}")

    def payload(self, letter: Letter) -> bytes:
        """The payload as the client wrote it. Raises NoSuchLetter when it is not kept any more."""
        text: bytes | None = None
        if self._is_kept(letter):
            text = self._redis.lindex(letter.payload_key, 0)  # type: ignore[assignment]
        if text is None:
            raise NoSuchLetter(_not_kept(letter, self._payloads))
        return text

    def replay(self, letter: Letter) -> None:
        """Puts the job at the end of its queue and strikes the letter. Raises NoSuchLetter."""
        script_keys = [keys.DEAD_LETTERS, letter.payload_key, letter.queue]
        if not self._is_kept(letter) or not self._replay(keys=script_keys, args=[letter.raw]):
            raise NoSuchLetter(_not_kept(letter, self._payloads))

    def _is_kept(self, letter: Letter) -> bool:
        seen: bytes | None = self._redis.get(keys.DEAD_LETTERS_SEEN)  # type: ignore[assignment]
        return letter.number > int(seen or 0) - self._payloads

    def _letter(self, raw: bytes) -> Letter | None:
        """None for what no bridge has written."""
        try:
            written = _Written.model_validate_json(raw)
        except ValidationError:
            return None
        payload_key = f"{keys.DEAD_LETTER_PAYLOAD}{written.number % self._payloads}"
        return Letter(
            number=written.number,
            time_s=written.time_s,
            queue=written.queue,
            job_id=written.id,
            code=written.code,
            message=written.message,
            size_bytes=written.size_bytes,
            payload_key=payload_key,
            raw=raw,
        )


def _not_kept(letter: Letter, payloads: int) -> str:
    return (
        f"the job of dead letter {letter.number} is not kept any more: "
        f"only the newest {payloads} are (setting dead_letter_payloads), within dead_letter_payload_bytes, each once"
    )
