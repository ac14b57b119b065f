"""The transport floor of the Redis door: jobs are moved, an answer is set, the slot goes, and nothing is done.

`python -m benchmarks.systems.floor_worker`; prints READY when it begins.
"""

import os
import re
import sys
from typing import Any

from redis import Redis

from benchmarks.systems.contract import QUEUE, REDIS

READY = "the worker is ready"
READ_BYTES = 2**20
SLOT = "{bench}:slot"
ANSWER = b'[{"category_id":"floor","scores":[0.9],"bbox":[1.0,1.0,2.0,2.0]}]'

_ID = re.compile(rb'"id": ?"([^"]+)"')


def main() -> None:
    """Runs until SIGINT."""
    store = Redis.from_url(os.environ[REDIS], socket_read_size=READ_BYTES)
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()
    while True:
        payload: Any = store.blmove(os.environ[QUEUE], SLOT, 1, "LEFT", "RIGHT")
        if payload is None:
            continue
        found = _ID.search(payload, 0, 2048)
        assert found is not None
        with store.pipeline(transaction=True) as pipe:
            pipe.set(found[1], ANSWER, ex=3600)
            pipe.delete(SLOT)
            pipe.execute()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
