"""The process of a replica, made ready: a thread that computes does not hold up the others."""

import subprocess
import sys

BESIDE_A_BUSY_THREAD = """
import threading, time
from deployments.process.replica_process import prepare_replica_process
{prepared}
is_over = threading.Event()
def compute():
    while not is_over.is_set():
        sum(range(1000))
threading.Thread(target=compute).start()
waits = []
for _ in range(101):
    started_s = time.monotonic()
    time.sleep(0)
    waits.append(time.monotonic() - started_s)
is_over.set()
print(sorted(waits)[50])
"""


def turn_s(prepared: str) -> float:
    """Median wait for one's turn beside a thread that computes, in a process of its own."""
    program = BESIDE_A_BUSY_THREAD.format(prepared=prepared)
    return float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


def test_a_busy_thread_gives_way_sooner_than_pythons_own() -> None:
    assert turn_s("prepare_replica_process()") < turn_s("") / 2
