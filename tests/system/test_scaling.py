"""A model grows under load and goes back to sleep, and two doors and two bridges share the work."""

import asyncio
import json
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import psutil
import pytest
import yaml

from deployments.serving.batching.micro_batcher import BATCHES_AT_ONCE
from tests.support.waiting import wait_for
from tests.system.conftest import RunningSystem, environment_for, running_system, tell
from tests.system.small_jobs import job

pytestmark = [pytest.mark.scaling, pytest.mark.timeout(400)]

MODEL, QUEUE = "growing", "image_queue_growing"
SECONDS_AN_IMAGE = 0.3
REQUESTS_A_SECOND = 1.5 * BATCHES_AT_ONCE / SECONDS_AN_IMAGE
"""Half as many again as one replica answers, and fewer than two do."""
STEADY_S = 20.0
"""For so long after the second replica is there, the load goes on."""
LOAD_S = 120.0
"""At most."""
ASLEEP_AFTER_S = 5
JOBS = 200
FRAME = {"file": ("frame.ppm", b"P6 1 1 255 " + bytes(3), "image/x-portable-pixmap")}
FAIR = 0.25
"""At least such a part of the work is that of the one who has less of it."""

DOCUMENT: dict[str, Any] = {
    "http_options": {"request_timeout_s": 60},
    "applications": [
        {
            "name": MODEL,
            "import_path": "deployments.app:build",
            "route_prefix": None,
            "args": {
                "family": "fixed-answer",
                "queues": [QUEUE],
                "largest_batch": 1,
                "parameters": {"delay_ms": 1000 * SECONDS_AN_IMAGE},
            },
            "deployments": [
                {
                    "name": "Model",
                    "max_ongoing_requests": 64,
                    "autoscaling_config": {
                        "min_replicas": 0,
                        "max_replicas": 4,
                        "target_ongoing_requests": 8,
                        "look_back_period_s": 11,
                        "upscale_delay_s": 2,
                        "downscale_delay_s": ASLEEP_AFTER_S,
                        "policy": {"policy_function": "deployments.autoscaling:images_where_there_is_room"},
                    },
                    "ray_actor_options": {"num_cpus": 0, "num_gpus": 0.25},
                }
            ],
        },
        {
            "name": "api",
            "import_path": "serve_app.app:build",
            "route_prefix": "/",
            "args": {"default_model": MODEL},
            "deployments": [{"name": "Door", "autoscaling_config": {"min_replicas": 2, "max_replicas": 2}}],
        },
        {
            "name": "bridge",
            "import_path": "redis_bridge.app:build",
            "route_prefix": None,
            "deployments": [{"name": "Bridge", "num_replicas": 2}],
        },
        {"name": "valkey", "import_path": "redis_bridge.embedded:build", "route_prefix": None},
    ],
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    """Two doors, two bridges, and two logical GPUs: room for two replicas."""
    folder = tmp_path_factory.mktemp("pair")
    config = folder / "pair.yaml"
    config.write_text(yaml.safe_dump(DOCUMENT))
    environ = environment_for(folder) | {"RAY_OVERRIDE_RESOURCES": json.dumps({"CPU": 8, "GPU": 2})}
    with running_system(folder, config, environ) as running:
        yield running


@dataclass
class Load:
    """Requests at a steady rate, whatever becomes of them, until STEADY_S after there are two replicas.

    statuses: of the answers.  replicas: how many there were, and when.  refused_meanwhile: answers but 200 until
    the second one was there.  second_s: when that was.  processes: of all replicas.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    replicas: list[tuple[float, int]] = field(default_factory=list)
    processes: set[int] = field(default_factory=set)
    second_s: float | None = None
    refused_meanwhile: int = 0

    async def run(self, system: RunningSystem) -> None:
        began_s = time.monotonic()
        url = f"http://127.0.0.1:{system.environ['FATHOM_HTTP_PORT']}/predictor/"
        limits = httpx.Limits(max_connections=400, max_keepalive_connections=20)
        async with (
            httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client,
            asyncio.TaskGroup() as group,
        ):
            for number in range(int(LOAD_S * REQUESTS_A_SECOND)):
                if self.second_s is not None and time.monotonic() - began_s > self.second_s + STEADY_S:
                    break
                await asyncio.sleep(max(0.0, began_s + number / REQUESTS_A_SECOND - time.monotonic()))
                group.create_task(self._ask(client, url))
                if number % 10 == 0:
                    group.create_task(self._count(system, began_s))

    async def _ask(self, client: httpx.AsyncClient, url: str) -> None:
        answer = await client.post(url, files=FRAME)
        self.statuses[answer.status_code] += 1
        self.refused_meanwhile += answer.status_code != 200 and self.second_s is None

    async def _count(self, system: RunningSystem, began_s: float) -> None:
        processes = await asyncio.to_thread(system.processes, MODEL)
        at_s = time.monotonic() - began_s
        self.replicas.append((at_s, len(processes)))
        self.processes |= processes
        if self.second_s is None and len(processes) > 1:
            self.second_s = at_s


def changes(counts: list[int]) -> list[int]:
    return [count for number, count in enumerate(counts) if number == 0 or counts[number - 1] != count]


def shares(system: RunningSystem, metric: str) -> dict[str, float]:
    """The value of a counter by replica."""
    found: Counter[str] = Counter()
    for line in system.http.get("/metrics").text.splitlines():
        if line.startswith(f"{metric}{{") and (replica := re.search(r'replica="([^"]+)"', line)):
            found[replica[1]] += float(line.rsplit(" ", 1)[1])
    return dict(found)


def tell_fair_shares(system: RunningSystem, metric: str, total: int) -> None:
    """Both have their share of what was counted, when all of it has been."""
    wait_for(lambda: sum(shares(system, metric).values()) >= total, 30, f"{metric} to have counted everything")
    counted = sorted(shares(system, metric).values())
    tell(f"{metric} of the two: {counted}")
    assert len(counted) == 2
    assert counted[0] >= FAIR * sum(counted)


def test_a_model_grows_under_load_and_sleeps_after_it(pair: RunningSystem) -> None:
    load = Load()
    asyncio.run(load.run(pair))
    ended_s = time.monotonic()
    wait_for(lambda: not pair.replicas()[MODEL], 120, "the model to be asleep")
    to_zero_s = time.monotonic() - ended_s
    load.replicas.sort()
    counts = changes([count for _, count in load.replicas])
    refused = sum(count for status, count in load.statuses.items() if status != 200)
    assert load.second_s is not None
    tell(
        f"{REQUESTS_A_SECOND:g} requests a second to a model whose replica answers {REQUESTS_A_SECOND / 1.5:.1f}: "
        f"the second after {load.second_s:.1f} s, refused until then {load.refused_meanwhile}, in all {refused} of "
        f"{load.statuses.total()}; replicas {counts}; asleep {to_zero_s:.0f} s after the last answer"
    )
    assert set(load.statuses) <= {200, 503}, load.statuses
    assert refused < load.statuses[200]
    assert counts == sorted(counts), "the number of replicas went up and down under a steady load"
    assert max(counts) == 2, "there are two GPUs"
    gone = load.processes
    wait_for(lambda: not any(map(psutil.pid_exists, gone)), 60, "the processes of the replicas to be gone")
    tell_fair_shares(pair, "fathom_http_requests_total", load.statuses.total())


def test_two_bridges_share_the_jobs_that_wake_a_model(pair: RunningSystem) -> None:
    wait_for(lambda: not pair.replicas()[MODEL], 120, "the model to be asleep")
    ids = [str(uuid.uuid4()) for _ in range(JOBS)]
    pair.redis.rpush(QUEUE, *map(job, ids))
    wait_for(lambda: pair.redis.exists(*ids) == len(ids), 150, "all answers")
    assert all("error" not in json.loads(pair.redis.get(one)) for one in ids)
    tell_fair_shares(pair, "fathom_redis_jobs_total", JOBS)
