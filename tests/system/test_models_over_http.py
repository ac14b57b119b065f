"""Models come and go over HTTP on a running system, by a key with the scope admin, as by the commands. The system has
no HAProxy, so that a client of another language is tried without it, too."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from serve_app.access.keys import Key, Scope, digest_of, entry_text, new_key
from serve_app.settings import DoorSettings
from tests.serve_app.uploads import picture
from tests.support.waiting import wait_for
from tests.system.conftest import ROOT, RunningSystem, environment_for, running_system
from tests.system.launched import document, model
from tests.system.parts import SECOND

pytestmark = [pytest.mark.slow, pytest.mark.beside_others]

DEADLINE_S = DoorSettings().deadline_s
KEYS = {scope: new_key() for scope in (Scope.ADMIN, Scope.PREDICT)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("system")


@pytest.fixture(scope="module")
def system(folder: Path) -> Iterator[RunningSystem]:
    """A door that asks for keys, and a model that answers without TensorFlow."""
    keys = folder / "keys.toml"
    entries = [Key(name=scope, sha256=digest_of(key).hex(), scopes=frozenset({scope})) for scope, key in KEYS.items()]
    keys.write_text("\n".join(map(entry_text, entries)))
    keys.chmod(0o600)
    data = folder / "data"
    data.mkdir()
    environ = environment_for(data) | {"FATHOM_API_KEYS_FILE": str(keys), "RAY_SERVE_ENABLE_HA_PROXY": "0"}
    config = folder / "system.yaml"
    block = model("benthic-demo", queues=["image_queue_yolov5"], required=True)
    config.write_text(yaml.safe_dump(document(int(environ["FATHOM_HTTP_PORT"]), block)))
    with running_system(data, config, environ) as running:
        running.http.headers["X-API-Key"] = KEYS[Scope.ADMIN]
        yield running


def add(system: RunningSystem, **headers: str) -> httpx.Response:
    block = yaml.safe_dump(SECOND)
    return system.http.post("/v1/models", content=block, headers={"Content-Type": "application/yaml"} | headers)


@contextmanager
def asked_all_the_time(system: RunningSystem, name: str) -> Iterator[list[tuple[int, float]]]:
    """The status of each answer, and the seconds until it came; all of them are there at the end."""
    found: list[tuple[int, float]] = []
    is_over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=system.http.base_url, headers=system.http.headers, timeout=60) as http:
            while not is_over.is_set():
                answer = http.post(f"/v1/models/{name}/predict", content=picture())
                found.append((answer.status_code, answer.elapsed.total_seconds()))

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask) for _ in range(4)]
        try:
            yield found
        finally:
            is_over.set()
    for one in asking:
        one.result()


def test_a_model_comes_answers_and_goes_and_the_commands_know_of_it(system: RunningSystem, folder: Path) -> None:
    before = system.replica_ids()
    assert add(system, **{"X-API-Key": KEYS[Scope.PREDICT]}).status_code == 403
    added = add(system)
    assert added.status_code == 202, added.text
    assert system.http.get(f"/v1/{added.headers['location']}").json()["name"] == "second", "known at once"
    assert add(system).status_code == 409

    answer = system.http.post("/predictor/", files={"file": picture()}, data={"model_type": "second"})
    assert answer.status_code == 200, answer.text
    assert "second" in system.launch("status")
    assert {name: ids for name, ids in system.replica_ids().items() if name != "second"} == before

    with asked_all_the_time(system, "second") as answers:
        gone = system.http.delete("/v1/models/second")
        assert gone.status_code == 202, gone.text
        wait_for(lambda: "second" not in system.models(), 60, "the model to go")
    assert {status for status, _ in answers} <= {200, 404, 503}
    assert max(took_s for _, took_s in answers) < DEADLINE_S, "nobody waits for a model that is gone"
    assert system.http.delete("/v1/models/second").status_code == 404
    assert system.http.delete("/v1/models/benthic-demo").status_code == 409

    assert add(system).status_code == 202
    system.launch("deploy", str(folder / "system.yaml"))
    wait_for(lambda: "second" not in system.models(), 60, "what is deployed to be all that there is")
    assert system.replica_ids() == before
    lines = [json.loads(line) for line in (system.folder / "audit.log").read_text().splitlines()]
    asked = [(line["command"], line.get("model"), line.get("key")) for line in lines]
    assert asked == [
        ("serve", None, None),
        ("add", "second", "admin"),
        ("remove", "second", "admin"),
        ("add", "second", "admin"),
        ("deploy", None, None),
    ]


@pytest.mark.skipif(shutil.which("java") is None, reason="no JDK is installed (Debian: openjdk-17-jdk-headless)")
def test_the_jdk_with_its_default_settings_gets_its_answers_without_haproxy(
    system: RunningSystem, tmp_path: Path
) -> None:
    frame = tmp_path / "frame.png"
    frame.write_bytes(picture())
    client = ROOT / "tests" / "serve_app" / "JdkClient.java"
    command = ["java", str(client), str(system.http.base_url), str(frame), KEYS[Scope.PREDICT]]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    answers = {
        what: (int(status), body) for what, status, _, body in (line.split("\t") for line in said.splitlines())
    }
    assert {what: status for what, (status, _) in answers.items() if status != 200} == {
        "unknown /predictor/": 404,
        "unknown /v1": 404,
    }
    assert len(json.loads(answers["form /predictor/"][1])["predictions"]) == 2
