"""A real Prometheus scrapes the running system and is asked every query of the dashboards and the alert rules."""

import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.monitoring.support import MONITORING, alert_queries, panel_queries, rules
from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, RunningSystem, environment_for, free_port, running_system
from tests.system.legacy_jobs import answer_of, job

pytestmark = [pytest.mark.slow, pytest.mark.beside_others, pytest.mark.timeout(400)]

QUEUE = "image_queue_yolov5"
SEEN_S = 60.0

WITHOUT_DATA = {
    "there is no GPU": ("ray_node_gpus_utilization", "ray_node_gram_used", "ray_node_gpu_"),
    "no external worker was asked": ("fathom_redis_external_seconds",),
    "no dead letter was dropped": ("fathom_redis_dropped_dead_letters_total",),
    "no bridge has died": ("fathom_redis_taken_over_total", "fathom_redis_doubles_total"),
    "no model fails all its jobs": ("fathom_redis_paused",),
    "no model has a candidate": ("fathom_candidate_requests_total", "fathom_shadow_"),
}
"""Why a healthy machine without a GPU has no series of these names. A query about them alone may return nothing."""


@pytest.fixture
def system(tmp_path: Path) -> Iterator[RunningSystem]:
    """One that is new: nothing has been killed or has failed in it."""
    with running_system(tmp_path, Path("configs/app.yaml"), environment_for(tmp_path)) as running:
        yield running


@pytest.fixture
def prometheus(system: RunningSystem, tmp_path: Path) -> Iterator[httpx.Client]:
    """Our own configuration, with the address of this system and a scrape every second."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("there is no Prometheus (Debian: prometheus)")
    document = yaml.safe_load((MONITORING / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    document["global"] = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"}
    document["scrape_configs"][0]["static_configs"] = [
        {"targets": [f"127.0.0.1:{system.environ['FATHOM_HTTP_PORT']}"]}
    ]
    document["rule_files"] = [str(MONITORING / "prometheus/alerts.yml")]
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump(document))
    address = f"127.0.0.1:{free_port()}"
    command = [
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'series'}",
        f"--web.listen-address={address}",
    ]
    with (
        (tmp_path / "prometheus.log").open("wb") as log,
        httpx.Client(base_url=f"http://{address}", timeout=30, trust_env=False) as client,
    ):
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_for(lambda: is_ready(client), 30, "Prometheus")
            yield client
        finally:
            process.terminate()
            process.wait(30)


def is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/-/ready").status_code == 200
    except httpx.HTTPError:
        return False


def ask(prometheus: httpx.Client, query: str) -> list[dict[str, Any]]:
    """The samples now; an error of the query fails the test."""
    answer = prometheus.post("/api/v1/query", data={"query": query}).json()
    assert answer["status"] == "success", f"{query}: {answer}"
    samples: list[dict[str, Any]] = answer["data"]["result"]
    return [sample for sample in samples if sample["value"][1] != "NaN"]


def reason_for_nothing(metrics: set[str]) -> str:
    """Why a query about `metrics` may return nothing here; '' when it may not."""
    for reason, names in WITHOUT_DATA.items():
        if any(metric.startswith(names) for metric in metrics):
            return reason
    return ""


def work(system: RunningSystem) -> None:
    """Something for every counter: an answered upload, a refused one, an answered job, a dead letter."""
    frame = SAMPLES / "seafloor-1.png"
    upload = {"file": ("a.png", frame.read_bytes(), "image/png")}
    assert system.http.post("/predictor/", files=upload).status_code == 200
    assert system.http.post("/predictor/", files={"file": ("a.png", b"no image", "image/png")}).status_code == 422
    name = str(uuid.uuid4())
    system.redis.rpush(QUEUE, job(frame, name), b'{"id":"%b","image":"!","height":3,"width":3}' % (name[:8].encode()))
    answer_of(system, name)


def test_every_panel_and_every_alert_has_data_of_the_running_system(
    system: RunningSystem, prometheus: httpx.Client
) -> None:
    missing = {query.where: query for query in (*panel_queries(), *alert_queries())}
    excused: dict[str, str] = {}

    def lacking_or_late(ends_at_s: float) -> str:
        """'nothing', or what lacks when the time is over; '' before."""
        work(system)
        for where, query in list(missing.items()):
            if ask(prometheus, query.text):
                del missing[where]
            elif reason := reason_for_nothing(query.metrics):
                excused[where] = reason
        lacking = ", ".join(sorted(missing.keys() - excused.keys()))
        if not lacking:
            return "nothing"
        return lacking if time.monotonic() > ends_at_s else ""

    ends_at_s = time.monotonic() + SEEN_S
    left = wait_for(lambda: lacking_or_late(ends_at_s), 2 * SEEN_S, "a look", poll_interval_s=1)
    assert left == "nothing"
    # An excuse that nothing needs any more would hide a fault one day.
    used = {reason for where, reason in excused.items() if where in missing}
    assert WITHOUT_DATA.keys() - used <= {"there is no GPU"}

    loaded = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    loaded_rules = [(rule["name"], rule["health"]) for group in loaded for rule in group["rules"]]
    assert sorted(loaded_rules) == sorted((rule["alert"], "ok") for rule in rules())
    firing = wait_for(lambda: ask(prometheus, 'ALERTS{alertstate="firing"}'), 30, "an alert")
    assert {sample["metric"]["alertname"] for sample in firing} == {"DeadLetters"}, "all that went wrong"
