"""Every Redis key of the bridge.

| Key | Type | Owner | Expiry |
|---|---|---|---|
| `<queue>` | list of payloads | the clients | none |
| `<job id>` | string, the answer | the client that waits for it | `result_ttl_s` |
| `<key in img_key>` | string, an image file | the client | `result_ttl_s` after it was read, if it had none |
| `<queue>:inflight:<bridge>:<number>` | list with one payload, a lease | that bridge; once dead, any | none |
| `fathomnet:attempts:<queue>` | hash: fingerprint of a payload -> `RetryRecord` | the bridges | a day |
| `fathomnet:trial:<bridge>` | string, the leases of the jobs that this bridge has on trial | that bridge | a day |
| `fathomnet:bridges` | set of bridge ids | all bridges; one leaves, or is reclaimed | none |
| `fathomnet:bridge:<bridge>` | string, the heartbeat | that bridge | `takeover_after_s` |
| `fathomnet:written:<bridge>` | string, a write that proves that Redis takes writes | that bridge | seconds |
| `<registry_key>` | hash, set, list or JSON string | shared; our entries are swept by us | none |
| `fathomnet:registered` | hash: queue -> entry | the bridges, where the registry holds bare names | none |
| `fathomnet:external-asked` | sorted set: job id, when nobody waits for it any more | the bridges | a few hours |
| `fathomnet:dead-letters` | list of JSON, newest first | the operator | `dead_letter_ttl_s` |
| `fathomnet:dead-letter-payload:<n>` | list with one payload | the operator | `dead_letter_ttl_s` |
| `fathomnet:dead-letters-seen` | number of dead letters so far | the bridges | none |
| `fathomnet:vector-projects` | hash: project -> model, revision and dimension of its vectors | the operator | none |
| `fathomnet:vector-versions` | hash: project -> number that changes with its vectors | the bridges | none |
| `fathomnet:vectors:<project>` | hash: label, NUL, id -> float32 bytes | the operator | none |
| `fathomnet:vector-job:<project>:<job>` | string, what is to be said of a job | the bridges | minutes |
| `fathomnet:vector-jobs` | sorted set: those keys, when they expire | the bridges | minutes |
| `fathomnet:set-aside:<key>` | what somebody else had written under one of our keys | the operator | a week |

The number of a lease is never used twice, so that one which reappears (a Redis that came back without its last
second) can never be taken for another job's.
"""

import re
from dataclasses import dataclass

PREFIX = "fathomnet:"
"""Every key that only the bridge uses begins with it, except slots, which begin with their queue's name."""

BRIDGES = PREFIX + "bridges"
DEAD_LETTERS = PREFIX + "dead-letters"
DEAD_LETTERS_SEEN = PREFIX + "dead-letters-seen"
DEAD_LETTER_PAYLOAD = PREFIX + "dead-letter-payload:"
REGISTERED = PREFIX + "registered"
EXTERNAL_ASKED = PREFIX + "external-asked"
VECTOR_PROJECTS = PREFIX + "vector-projects"
VECTOR_VERSIONS = PREFIX + "vector-versions"
VECTOR_JOBS = PREFIX + "vector-jobs"

ATTEMPTS_TTL_S = 24 * 3600

SLOTS_PATTERN = "*:inflight:*"
_BRIDGE = re.compile(rb"[0-9a-f]{12}")
_SLOT = re.compile(r"(?P<queue>.+):inflight:(?P<bridge>[0-9a-f]{12}):(?P<number>\d+)")


@dataclass(frozen=True, slots=True)
class Slot:
    """The key of one lease: where one job lies while one bridge works on it."""

    queue: str
    bridge: str
    number: int

    @property
    def key(self) -> str:
        """The slot's Redis key."""
        return f"{self.queue}:inflight:{self.bridge}:{self.number}"


def slot_from_key(key: str) -> Slot | None:
    """The slot that `key` names, None for any other key."""
    found = _SLOT.fullmatch(key)
    return Slot(found["queue"], found["bridge"], int(found["number"])) if found else None


def bridge_from_member(member: bytes) -> str | None:
    """The bridge that a member of BRIDGES names, None for what no bridge has written."""
    return member.decode() if _BRIDGE.fullmatch(member) else None


def set_aside(key: str) -> str:
    """Where what is not ours is moved from `key`, one of ours."""
    return f"{PREFIX}set-aside:{key.removeprefix(PREFIX)}"


def heartbeat(bridge: str) -> str:
    """The key that lives as long as this bridge."""
    return f"{PREFIX}bridge:{bridge}"


def written(bridge: str) -> str:
    """The key that this bridge writes to see whether it can."""
    return f"{PREFIX}written:{bridge}"


def attempts(queue: str) -> str:
    """The key with the records of those jobs of `queue` that have failed, gone back, or lost their bridge."""
    return f"{PREFIX}attempts:{queue}"


def trial(bridge: str) -> str:
    """The key that names the job which this bridge has in work alone."""
    return f"{PREFIX}trial:{bridge}"


def vectors(project: str) -> str:
    """The key with the vectors of this project."""
    return f"{PREFIX}vectors:{project}"


def vector_job(project: str, job: str) -> str:
    """The key with what is to be said of a job of this project."""
    return f"{PREFIX}vector-job:{project}:{job}"


def is_reserved(key: str) -> bool:
    """Whether `key` is one of the bridge's own, which a job's id must never be."""
    return key.startswith(PREFIX) or ":inflight:" in key
