"""Two HTTP doors behind one HAProxy: limits of keys hold over both, keys are taken away at both, and one may die."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml

from serve_app.access.keys import Key, Scope, digest_of, entry_text, new_key
from tests.serve_app.uploads import picture
from tests.support.waiting import wait_for
from tests.system.conftest import START_S, RunningSystem, environment_for, running_system, tell
from tests.system.launched import document, model

pytestmark = [pytest.mark.scaling, pytest.mark.beside_others]

CLIENTS = 6
BURST, PER_S = 4, 2.0
WARM_S, AFTER_S = 1.0, 4.0


Answers = list[tuple[float, httpx.Response | httpx.HTTPError]]
"""With the time of each, on the monotonic clock."""


def write_keys(path: Path, *keys: Key) -> None:
    path.write_text("\n".join(entry_text(key) for key in keys))
    path.chmod(0o600)


def key_of(name: str, text: str, **limits: Any) -> Key:
    scopes = frozenset({Scope.PREDICT, Scope.METRICS})
    return Key(name=name, sha256=digest_of(text).hex(), scopes=scopes, **limits)


FREE_KEY, LIMITED_KEY = new_key(), new_key()
FREE, LIMITED = key_of("free", FREE_KEY), key_of("limited", LIMITED_KEY, requests_per_s=PER_S, burst=BURST)


@contextmanager
def uploads(url: str, key: str) -> Iterator[Answers]:
    """What clients get that send one upload after another, with the time of each answer."""
    answers: Answers = []
    is_over = threading.Event()

    def send() -> None:
        with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=30, trust_env=False) as http:
            while not is_over.is_set():
                try:
                    answer: httpx.Response | httpx.HTTPError = http.post("/predictor/", files={"file": picture()})
                except httpx.HTTPError as error:
                    answer = error
                answers.append((time.monotonic(), answer))

    threads = [threading.Thread(target=send) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join(40)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.toml"


@pytest.fixture
def system(tmp_path: Path, keys_file: Path) -> Iterator[RunningSystem]:
    """Two doors, and a model that answers without TensorFlow."""
    write_keys(keys_file, FREE, LIMITED)
    folder = tmp_path / "data"
    folder.mkdir()
    environ = environment_for(folder) | {"FATHOM_API_KEYS_FILE": str(keys_file)}
    blocks = document(int(environ["FATHOM_HTTP_PORT"]), model("fixed"))
    blocks["applications"][-1]["deployments"] = [{"name": "Door", "num_replicas": 2}]
    config = tmp_path / "system.yaml"
    config.write_text(yaml.safe_dump(blocks))
    with running_system(folder, config, environ) as running:
        wait_for(lambda: len(running.processes("api")) == 2, START_S, "two doors")
        yield running


def status_of(system: RunningSystem, key: str) -> int:
    return system.http.get("/v1/models", headers={"X-API-Key": key}).status_code


def test_limits_hold_over_two_doors_of_which_one_may_die(system: RunningSystem, keys_file: Path) -> None:
    assert system.http.get("/v1/models").status_code == 401
    assert system.http.get("/health/live").status_code == 200

    began_at_s = time.monotonic()
    statuses = Counter(status_of(system, LIMITED_KEY) for _ in range(40))
    elapsed_s = time.monotonic() - began_at_s
    assert set(statuses) == {200, 429}
    assert statuses[200] <= BURST + PER_S * elapsed_s + 1, "one more for the second door"
    tell(f"a limit of {BURST} at once and {PER_S:g}/s over two doors: {statuses} in {elapsed_s:.1f} s")

    with uploads(str(system.http.base_url), FREE_KEY) as answers:
        died_at_s = one_door_dies(system.processes("api"))
        wait_for(lambda: time.monotonic() - died_at_s > AFTER_S, 30, "some seconds with one door")
    check_what_was_lost(answers, died_at_s)

    write_keys(keys_file, LIMITED)
    wait_for(lambda: status_of(system, FREE_KEY) == 401, 5, "the key to be revoked")
    wait_for(lambda: len(system.processes("api")) == 2, 60, "the second door again")
    assert {status_of(system, FREE_KEY) for _ in range(8)} == {401}


def check_what_was_lost(answers: Answers, died_at_s: float) -> None:
    """What the dead door had taken, and no more: HAProxy puts to the other door whatever had not been sent."""
    failed = [(at_s - died_at_s, one) for at_s, one in answers if not is_good(one)]
    tell(f"{len(answers)} uploads while one of two doors was killed: {len(failed)} were lost")
    assert len(failed) <= CLIENTS
    for seconds, answer in failed:
        assert 0 <= seconds < 2
        # On a connection that it has used before HAProxy only closes: the client tries again of itself then.
        if isinstance(answer, httpx.Response):
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True), answer.text
        else:
            assert isinstance(answer, httpx.RemoteProtocolError | httpx.ReadError), answer


def is_good(answer: httpx.Response | httpx.HTTPError) -> bool:
    return isinstance(answer, httpx.Response) and answer.status_code == 200


def one_door_dies(doors: set[int]) -> float:
    """When it did, on the monotonic clock."""
    ends_at_s = time.monotonic() + WARM_S
    wait_for(lambda: time.monotonic() > ends_at_s, 10, "uploads under way")
    psutil.Process(min(doors)).kill()
    return time.monotonic()
