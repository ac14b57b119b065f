"""Eighteen models behind one logical GPU with four shares: whoever is asked gets a place, whoever is idle longest
gives one up, pinned models stay, and two models asked in turn do not push each other out all the time.
"""

import itertools
import json
import random
import statistics
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.support.waiting import wait_for
from tests.system.conftest import RunningSystem, environment_for, running_system, tell
from tests.system.small_jobs import job

pytestmark = [pytest.mark.scaling, pytest.mark.timeout(540)]

MODELS = [f"m{number:02}" for number in range(18)]
SHARE = 0.25
MIN_STAY_S = 3.0
LONG_STAY_S = 15.0
IN_TURN_S = 45.0


def block(name: str, pinned: bool, min_stay_s: float) -> dict[str, Any]:
    return {
        "name": name,
        "import_path": "deployments.app:build",
        "route_prefix": None,
        "args": {"family": "fixed-answer", "queues": [f"queue_{name}"]},
        "deployments": [
            {
                "name": "Model",
                "autoscaling_config": {
                    "min_replicas": 0,
                    "max_replicas": 2,
                    "target_ongoing_requests": 16,
                    "downscale_delay_s": 300,
                    "policy": {"policy_function": "deployments.autoscaling:images_where_there_is_room"},
                },
                "ray_actor_options": {"num_cpus": 0, "num_gpus": SHARE},
                "user_config": {"pinned": pinned, "min_stay_s": min_stay_s},
            }
        ],
    }


def write_config(path: Path, pinned: int, min_stay_s: float) -> Path:
    """All models, the first `pinned` of them pinned."""
    models = [block(name, number < pinned, min_stay_s) for number, name in enumerate(MODELS)]
    doors = [
        {
            "name": "api",
            "import_path": "serve_app.app:build",
            "route_prefix": "/",
            "args": {"default_model": MODELS[0], "deadline_s": 110},
        },
        {"name": "bridge", "import_path": "redis_bridge.app:build", "route_prefix": None},
        {"name": "valkey", "import_path": "redis_bridge.embedded:build", "route_prefix": None},
    ]
    path.write_text(yaml.safe_dump({"http_options": {"request_timeout_s": 120}, "applications": [*models, *doors]}))
    return path


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    folder = tmp_path_factory.mktemp("zoo")
    environ = environment_for(folder) | {"RAY_OVERRIDE_RESOURCES": json.dumps({"GPU": 1})}
    with running_system(folder, write_config(folder / "zoo.yaml", 1, MIN_STAY_S), environ) as running:
        yield running


def ask_over_http(zoo: RunningSystem, model: str) -> float:
    """Asks once; the seconds until the answer."""
    began_s = time.monotonic()
    files = {"file": ("frame.ppm", b"P6 1 1 255 " + bytes(3), "image/x-portable-pixmap")}
    answer = zoo.http.post("/predictor/", data={"model_type": model}, files=files, timeout=120)
    assert answer.status_code == 200, (model, answer.text)
    return time.monotonic() - began_s


def ask_over_redis(zoo: RunningSystem, model: str) -> float:
    """Puts one job; the seconds until the answer."""
    began_s, job_id = time.monotonic(), str(uuid.uuid4())
    zoo.redis.rpush(f"queue_{model}", job(job_id))
    answer = wait_for(lambda: zoo.redis.get(job_id), 120, f"the answer of {model}")
    assert "error" not in json.loads(answer), (model, answer)
    return time.monotonic() - began_s


def awake(zoo: RunningSystem) -> dict[str, set[int]]:
    """The processes of each model that has a replica."""
    replicas = zoo.replicas()
    return {model: {one["pid"] for one in replicas[model]} for model in MODELS if replicas[model]}


def test_each_of_eighteen_models_answers_with_four_places(zoo: RunningSystem) -> None:
    """Two are asked at once: each needs a place that somebody else has."""
    first_s = ask_over_http(zoo, MODELS[0])
    pinned = zoo.replica_ids()[MODELS[0]]
    asks = zip(itertools.cycle((ask_over_http, ask_over_redis, ask_over_http)), shuffled(MODELS[1:]))
    took_s: list[float] = [first_s]
    seen: set[int] = set()
    with ThreadPoolExecutor(2) as pool:
        while pair := list(itertools.islice(asks, 2)):
            took_s += pool.map(lambda one: one[0](zoo, one[1]), pair)
            now = awake(zoo)
            assert len(now) <= 4
            seen |= set().union(*now.values())
    tell(f"eighteen models on four places, each woken once: median {statistics.median(took_s):.1f} s to the answer")
    tell(f"  in order: {', '.join(f'{seconds:.1f}' for seconds in took_s)} s")
    assert len(seen) >= len(MODELS)
    assert zoo.replica_ids()[MODELS[0]] == pinned, "the pinned model was put to sleep"

    def left() -> list[int]:
        stay = set().union(*awake(zoo).values())
        return [pid for pid in seen - stay if psutil.pid_exists(pid)]

    wait_for(lambda: not left(), 60, "the processes of models that sleep to be gone, with their memory")


def shuffled(models: list[str]) -> list[str]:
    return random.Random(20).sample(models, len(models))


def test_two_models_asked_in_turn_for_one_place_do_not_thrash(zoo: RunningSystem) -> None:
    zoo.launch("deploy", str(write_config(zoo.folder / "pinned.yaml", 3, LONG_STAY_S)))
    for model in MODELS[:3]:
        ask_over_http(zoo, model)
    stay = {model: zoo.replica_ids()[model] for model in MODELS[:3]}
    loads: set[str] = set()
    answers = 0
    began_s = time.monotonic()
    while time.monotonic() - began_s < IN_TURN_S:
        for model in MODELS[3:5]:
            ask_over_http(zoo, model)
            answers += 1
            loads.update(zoo.replica_ids()[model])
    seconds = time.monotonic() - began_s
    tell(f"two models asked in turn for one place: {answers} answers, {len(loads)} loads in {seconds:.0f} s")
    assert len(loads) <= seconds / LONG_STAY_S + 2
    assert {model: zoo.replica_ids()[model] for model in MODELS[:3]} == stay
