"""A model grows under load and goes back to sleep, and two doors and two bridges share the work."""

import asyncio
import json
import logging
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import yaml

from tests.support.waiting import wait_for
from tests.system.conftest import RunningSystem, environment_for, running_system
from tests.system.small_jobs import job

pytestmark = [pytest.mark.scaling, pytest.mark.timeout(400)]

logger = logging.getLogger(__name__)

MODEL, QUEUE = "growing", "image_queue_growing"
SECONDS_AN_IMAGE = 0.15
REQUESTS_A_SECOND = 11.0
"""Half as many again as one replica answers, and fewer than two do."""
LOAD_S = 75.0
ASLEEP_AFTER_S = 5
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
    """Requests at a steady rate, whatever becomes of them."""

    statuses: Counter[int] = field(default_factory=Counter)
    replicas: list[tuple[float, int]] = field(default_factory=list)

    async def run(self, system: RunningSystem) -> None:
        began_s = time.monotonic()
        url = f"http://127.0.0.1:{system.environ['FATHOM_HTTP_PORT']}/predictor/"
        limits = httpx.Limits(max_connections=400, max_keepalive_connections=20)
        async with (
            httpx.AsyncClient(timeout=60, limits=limits, trust_env=False) as client,
            asyncio.TaskGroup() as group,
        ):
            for number in range(int(LOAD_S * REQUESTS_A_SECOND)):
                await asyncio.sleep(max(0.0, began_s + number / REQUESTS_A_SECOND - time.monotonic()))
                group.create_task(self._ask(client, url))
                if number % 10 == 0:
                    group.create_task(self._count(system, began_s))

    async def _ask(self, client: httpx.AsyncClient, url: str) -> None:
        answer = await client.post(url, files=FRAME)
        self.statuses[answer.status_code] += 1

    async def _count(self, system: RunningSystem, began_s: float) -> None:
        count = len((await asyncio.to_thread(system.replicas))[MODEL])
        self.replicas.append((time.monotonic() - began_s, count))


def changes(counts: list[int]) -> list[int]:
    return [count for number, count in enumerate(counts) if number == 0 or counts[number - 1] != count]


def shares(system: RunningSystem, metric: str) -> dict[str, float]:
    """The value of a counter by replica."""
    found: Counter[str] = Counter()
    for line in system.http.get("/metrics").text.splitlines():
        if line.startswith(f"{metric}{{") and (replica := re.search(r'replica="([^"]+)"', line)):
            found[replica[1]] += float(line.rsplit(" ", 1)[1])
    return dict(found)


def is_fair(values: dict[str, float]) -> bool:
    return len(values) == 2 and min(values.values()) >= FAIR * sum(values.values())


def test_a_model_grows_under_load_and_sleeps_after_it(pair: RunningSystem) -> None:
    load = Load()
    asyncio.run(load.run(pair))
    ended_s = time.monotonic()
    wait_for(lambda: not pair.replicas()[MODEL], 120, "the model to be asleep")
    to_zero_s = time.monotonic() - ended_s
    load.replicas.sort()
    counts = changes([count for _, count in load.replicas])
    second_s = next((at_s for at_s, count in load.replicas if count == 2), None)
    refused = sum(count for status, count in load.statuses.items() if status != 200)
    logger.info(
        "second replica after %s s; %s; to zero %.0f s; replicas %s", second_s, load.statuses, to_zero_s, counts
    )
    assert second_s is not None
    assert set(load.statuses) <= {200, 503}, load.statuses
    assert refused < load.statuses[200]
    assert counts == sorted(counts), "the number of replicas went up and down under a steady load"
    assert max(counts) == 2, "there are two GPUs"
    wait_for(lambda: is_fair(shares(pair, "fathom_http_requests_total")), 30, "both doors to have their share")
    logger.info("doors: %s", shares(pair, "fathom_http_requests_total"))


def test_two_bridges_share_the_jobs_that_wake_a_model(pair: RunningSystem) -> None:
    wait_for(lambda: not pair.replicas()[MODEL], 120, "the model to be asleep")
    ids = [str(uuid.uuid4()) for _ in range(200)]
    pair.redis.rpush(QUEUE, *map(job, ids))
    wait_for(lambda: pair.redis.exists(*ids) == len(ids), 150, "all answers")
    assert all("error" not in json.loads(pair.redis.get(one)) for one in ids)
    wait_for(lambda: is_fair(shares(pair, "fathom_redis_jobs_total")), 30, "both bridges to have their share")
    logger.info("bridges: %s", shares(pair, "fathom_redis_jobs_total"))
