"""Revisions of a model change under load, and are tried beside each other; no request and no job is lost.

`-o log_cli=true -o log_cli_level=INFO` shows the figures.
"""

import json
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
import yaml

from deployments.client.revisions.candidates import place_of
from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, START_S, STOP_S, RunningSystem, environment_for
from tests.system.launched import document, launch, launched, model, redis_door
from tests.system.small_jobs import job

logger = logging.getLogger(__name__)

pytestmark = [pytest.mark.scaling, pytest.mark.timeout(START_S + STOP_S + 420)]

QUEUE = "image_queue_main"
NEW_LABELS = ["new A", "new B"]
SHARE = 0.3
COUNTED = 100
PACE_S = 0.03
"""Between two requests of one client: a load that leaves the machine time for the changes."""


@dataclass
class Answered:
    """What one request or job got. model: who answered, as far as the answer shows it."""

    request_id: str
    problem: str
    model: str = ""
    revision: str = ""


@dataclass
class Load:
    """Asks without a pause, over HTTP and over Redis, until it is stopped."""

    environ: dict[str, str]
    http: list[Answered] = field(default_factory=list)
    jobs: list[Answered] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def ask_http(self) -> None:
        url = f"http://127.0.0.1:{self.environ['FATHOM_HTTP_PORT']}"
        frame = (SAMPLES / "seafloor-1.png").read_bytes()
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while not self.is_over.wait(PACE_S):
                name = f"upload-{len(self.http)}"
                try:
                    answer = client.post("/predictor/", files={"file": frame}, headers={"X-Request-ID": name})
                    body = answer.json()
                    problem = "" if answer.status_code == 200 else answer.text
                    self.http.append(Answered(name, problem, body.get("model", ""), body.get("revision", "")))
                except (httpx.HTTPError, ValueError) as error:
                    self.http.append(Answered(name, repr(error)))

    def ask_redis(self) -> None:
        with redis.Redis(port=int(self.environ["FATHOM_REDIS_PORT"])) as store:
            while not self.is_over.wait(PACE_S):
                name = f"job-{len(self.jobs)}"
                store.rpush(QUEUE, job(name))
                try:
                    text = wait_for(lambda: store.get(name), 60, name, poll_interval_s=0.005)  # noqa: B023
                    rows = json.loads(text)
                    is_new = {row["category_id"] for row in rows} <= set(NEW_LABELS)
                    self.jobs.append(Answered(name, "", "next" if is_new else "main"))
                except BaseException as error:  # that of a wait that was too long, too
                    self.jobs.append(Answered(name, repr(error)))

    def more(self, count: int) -> tuple[list[Answered], list[Answered]]:
        """The next `count` answers of each door."""
        at = len(self.http), len(self.jobs)
        wait_for(lambda: len(self.http) >= at[0] + count and len(self.jobs) >= at[1] + count, 180, f"{count} answers")
        return self.http[at[0] :], self.jobs[at[1] :]

    @property
    def problems(self) -> list[Answered]:
        return [one for one in [*self.http, *self.jobs] if one.problem]


@contextmanager
def under_load(environ: dict[str, str]) -> Iterator[Load]:
    load = Load(environ)
    threads = [threading.Thread(target=work) for work in (load.ask_http, load.ask_redis)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: load.http and load.jobs, 60, "the first answers")
        yield load
    finally:
        load.is_over.set()
        for thread in threads:
            thread.join(90)


def a_system(environ: dict[str, str], *candidates: dict[str, Any], revision: str) -> dict[str, Any]:
    """The model at this revision, with candidates beside it."""
    main = model("main", queues=[QUEUE], revision=revision)
    whole = document(int(environ["FATHOM_HTTP_PORT"]), main, *candidates)
    whole["logging_config"] = {"enable_access_log": False}
    whole["applications"] += redis_door(int(environ["FATHOM_REDIS_PORT"]))
    return whole


def a_candidate(**knobs: Any) -> dict[str, Any]:
    block = model("next", revision="3", labels=NEW_LABELS)
    block["deployments"][0]["user_config"] = knobs
    return block


def share_of(answers: list[Answered]) -> float:
    """The part that the candidate answered."""
    return Counter(one.model for one in answers)["next"] / max(1, len(answers))


def test_a_model_changes_without_loss_and_a_candidate_costs_nobody_anything(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="httpx")
    environ = environment_for(tmp_path / "data")

    def deploy(name: str, *candidates: dict[str, Any], revision: str) -> str:
        file = tmp_path / f"{name}.yaml"
        file.write_text(yaml.safe_dump(a_system(environ, *candidates, revision=revision)))
        return str(file) if name == "first" else system.launch("deploy", str(file))

    first = deploy("first", revision="1")
    began_s = time.monotonic()
    with launched(launch("serve", first), environ, tmp_path / "terminal") as run, httpx.Client() as client:
        run.wait_for_words("Ctrl-C", START_S)
        store: redis.Redis[bytes] = redis.Redis(port=int(environ["FATHOM_REDIS_PORT"]))
        system = RunningSystem(run.process, environ, client, store, tmp_path)  # type: ignore[arg-type]
        with under_load(environ) as load:
            deploy("second", revision="2")
            wait_for(lambda: load.http[-1].revision == "2", 60, "the second revision")
            assert load.problems == []
            logger.info("update: %d requests, %d jobs, none lost", len(load.http), len(load.jobs))

            deploy("share", a_candidate(candidate={"of": "main", "share": SHARE}), revision="2")
            load.more(1)
            candidate_answers_its_share(load)
            candidate_dies(system, load)

            before = system.replica_ids()
            shadow = a_candidate(candidate={"of": "main", "shadow": 0.5}, score_threshold=0.7)
            deploy("shadow", shadow, revision="2")
            candidate_is_a_shadow(system, load)
            assert system.replica_ids() == before, "its knobs changed in place"

            system.launch("deploy", first)
            wait_for(lambda: load.http[-1].revision == "1", 60, "the first revision again")
            load.more(10)
        assert load.problems == []
        assert "next" not in system.applications()
        logger.info("in all: %d requests, %d jobs, none lost", len(load.http), len(load.jobs))
        store.close()
        run.process.terminate()
        assert run.process.wait(STOP_S) == 0, run.said()
    logger.info("%.0f s", time.monotonic() - began_s)


def candidate_answers_its_share(load: Load) -> None:
    """The doors notice it a moment later; from then on the id decides, but for what a busy machine has passed on."""
    at = len(load.http), len(load.jobs)

    def lately(answers: list[Answered]) -> tuple[int, int]:
        its_own = [one for one in answers[-COUNTED:] if place_of(one.request_id, "main") < SHARE]
        return len(its_own), sum(one.model == "next" for one in its_own)

    def is_nearly_all() -> bool:
        counts = [lately(load.http[at[0] :]), lately(load.jobs[at[1] :])]
        return all(its_own >= COUNTED * SHARE / 2 and answered >= 0.9 * its_own for its_own, answered in counts)

    wait_for(is_nearly_all, 180, "nearly all of its share answered by it")
    for door, answers in (("requests", load.http[at[0] :]), ("jobs", load.jobs[at[1] :])):
        logger.info("share %g of the last %d %s: %d, answered %d", SHARE, COUNTED, door, *lately(answers))
        answered = [one for one in answers if one.model == "next"]
        assert [one for one in answered if place_of(one.request_id, "main") >= SHARE] == []
        assert {one.revision for one in answered} == {"3" if door == "requests" else ""}


def candidate_dies(system: RunningSystem, load: Load) -> None:
    [replica] = system.replicas()["next"]
    psutil.Process(replica["pid"]).kill()
    http, jobs = load.more(COUNTED)
    assert [one for one in [*http, *jobs] if one.problem] == []
    wait_for(lambda: len(system.replicas()["next"]) == 1, 60, "the candidate back")
    logger.info("its replica killed: %d requests, %d jobs, none lost", len(http), len(jobs))


def candidate_is_a_shadow(system: RunningSystem, load: Load) -> None:
    """It finds one of the two boxes, under another name."""
    wait_for(lambda: share_of(load.http[-20:]) == share_of(load.jobs[-20:]) == 0, 60, "no more answers of its own")
    http, jobs = load.more(COUNTED)
    assert share_of(http) == share_of(jobs) == 0
    pattern = r"next \(revision 3\), shadow of main: ([1-9]\d*) compared, ([1-9]\d*) differ, .*boxes: 0 in both.*"
    report = wait_for(lambda: re.search(pattern, system.launch("status")), 60, "the report")
    assert report[1] == report[2], "all of its boxes have other names"
    logger.info("%s", report[0])
