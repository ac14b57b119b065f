"""One request and one job are followed by their ids, in the logs and as traces, from the door to the replica."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
import yaml

from tests.support.otlp_collector import Collector, Seen, collector
from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, START_S, STOP_S, environment_for
from tests.system.launched import Launched, document, launch, launched, model, redis_door
from tests.system.legacy_jobs import job

pytestmark = [pytest.mark.slow, pytest.mark.beside_others, pytest.mark.timeout(START_S + STOP_S + 120)]

QUEUE = "image_queue_following"
TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENTS_SPAN = "b7ad6b7169203331"
MORE = 20
SERVES_OWN = ("request_router.py", "router.py")
"""Files of Ray Serve that log while they look for a replica."""
BAD_JOB = b'{"id": "bad-job", "image": "!", "height": 3, "width": 3}'


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return environment_for(tmp_path / "data") | {"FATHOM_LOG_REQUESTS": "1", "FATHOM_LOG_FORMAT": "json"}


@pytest.fixture
def config(tmp_path: Path, environ: dict[str, str]) -> Path:
    system = document(int(environ["FATHOM_HTTP_PORT"]), model("quick", queues=[QUEUE]))
    system["logging_config"] = {"enable_access_log": False}
    system["applications"] += redis_door(int(environ["FATHOM_REDIS_PORT"]))
    file = tmp_path / "system.yaml"
    file.write_text(yaml.safe_dump(system))
    return file


def upload(environ: dict[str, str], headers: dict[str, str]) -> httpx.Response:
    url = f"http://127.0.0.1:{environ['FATHOM_HTTP_PORT']}/predictor/"
    file = {"file": ("a.png", (SAMPLES / "seafloor-1.png").read_bytes(), "image/png")}
    return httpx.post(url, files=file, headers=headers, timeout=60, trust_env=False)


def log_folder(run: Launched) -> Path:
    """Of Serve, as it is found from the files that a replica of this system holds open."""
    for process in run.seen:
        if process.is_running() and process.name().startswith("ray::Serve"):
            for file in process.open_files():
                if "/logs/serve/" in file.path:
                    return Path(file.path).parent
    raise AssertionError("no replica writes a log")


def lines_about(folder: Path, request_id: str) -> dict[str, list[dict[str, Any]]]:
    """Our lines with this id: application -> lines, each as a document.

    Serve has a line of its own with the id of a request whose replica was slow to say how much it has to do.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for file in folder.glob("replica_*.log"):
        documents = [json.loads(line) for line in file.read_text().splitlines()]
        of_request = [one for one in documents if request_id in one.get("request_id", "").split(",")]
        about = [one for one in of_request if one["filename"] not in SERVES_OWN]
        if about:
            found[file.name.split("_")[1]] = about
    return found


def test_a_request_and_a_job_are_followed_from_door_to_replica(
    config: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    with collector() as collected:
        environ |= {"FATHOM_TRACE_SHARE": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": collected.url}
        with launched(launch("serve", str(config)), environ, tmp_path / "terminal") as run:
            run.wait_for_words("Ctrl-C", START_S)
            folder = log_folder(run)
            asked = {"X-Request-ID": "dive-7-frame-12", "traceparent": f"00-{TRACE}-{CLIENTS_SPAN}-01"}
            answer = upload(environ, asked)
            assert answer.status_code == 200, answer.text
            assert answer.headers["x-request-id"] == "dive-7-frame-12"
            ids = [upload(environ, {}).headers["x-request-id"] for _ in range(MORE)]
            name = str(uuid.uuid4())
            with redis.Redis(port=int(environ["FATHOM_REDIS_PORT"])) as store:
                store.rpush(QUEUE, job(SAMPLES / "seafloor-1.png", name), BAD_JOB)
                wait_for(lambda: store.get(name) and store.get("bad-job"), 60, "the answers of the jobs")
            wait_for(lambda: len(collected.named("batch quick")) == MORE + 2, 30, "the spans of every batch")
            wait_for(lambda: collected.named(f"job {QUEUE}"), 30, "the span of the job")
            wait_for(lambda: collected.named("POST /predictor/"), 30, "the spans of the door")
            run.process.terminate()
            assert run.process.wait(STOP_S) == 0, run.said()
    followed_in_logs(folder, ids, name)
    followed_in_traces(collected, name)


def followed_in_logs(folder: Path, ids: list[str], name: str) -> None:
    """The system has stopped: no line is lost."""
    request = lines_about(folder, "dive-7-frame-12")
    assert {app: len(lines) for app, lines in request.items()} == {"api": 1, "quick": 1}
    assert request["api"][0]["status"] == 200
    assert request["quick"][0]["outcome"] == "ok"
    assert request["quick"][0]["batch_size"] == 1
    for one in ids:
        assert set(lines_about(folder, one)) == {"api", "quick"}
    done = lines_about(folder, name)
    assert {app: [line["outcome"] for line in lines] for app, lines in done.items()} == {
        "bridge": ["ok"],
        "quick": ["ok"],
    }
    [letter, end] = lines_about(folder, "bad-job")["bridge"]
    assert (letter["levelname"], end["outcome"]) == ("WARNING", "invalid-image")
    ends = [file for file in folder.glob("replica_quick_*.log") if "model quick has stopped" in file.read_text()]
    assert len(ends) == 1


def followed_in_traces(collected: Collector, name: str) -> None:
    def of(span_name: str, trace_id: str) -> Seen:
        [found] = [span for span in collected.named(span_name) if span.trace_id == trace_id]
        return found

    door = of("POST /predictor/", TRACE)
    assert door.parent_id == CLIENTS_SPAN
    assert door.service == "fathomnet-serve/door"
    assert door.attributes["fathom.request_id"] == "dive-7-frame-12"
    assert of("predict quick", TRACE).parent_id == door.span_id
    batch = of("batch quick", TRACE)
    assert batch.service == "fathomnet-serve/quick"
    assert batch.links == (door.span_id,)

    [begun] = [span for span in collected.named(f"job {QUEUE}") if span.attributes["fathom.request_id"] == name]
    assert begun.parent_id == ""
    assert of("predict quick", begun.trace_id).parent_id == begun.span_id
    assert of("batch quick", begun.trace_id).links == (begun.span_id,)
