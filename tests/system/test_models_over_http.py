"""Models come and go over HTTP on a running system, by a key with the scope admin, as by the commands."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from serve_app.access.keys import Key, Scope, digest_of, entry_text, new_key
from tests.serve_app.uploads import picture
from tests.support.waiting import wait_for
from tests.system.conftest import RunningSystem, environment_for, running_system
from tests.system.launched import document, model
from tests.system.parts import SECOND

pytestmark = [pytest.mark.slow, pytest.mark.beside_others]

KEYS = {scope: new_key() for scope in (Scope.ADMIN, Scope.PREDICT)}


@pytest.fixture
def system(tmp_path: Path) -> Iterator[RunningSystem]:
    """A door that asks for keys, and a model that answers without TensorFlow."""
    keys = tmp_path / "keys.toml"
    entries = [Key(name=scope, sha256=digest_of(key).hex(), scopes=frozenset({scope})) for scope, key in KEYS.items()]
    keys.write_text("\n".join(map(entry_text, entries)))
    keys.chmod(0o600)
    folder = tmp_path / "data"
    folder.mkdir()
    environ = environment_for(folder) | {"FATHOM_API_KEYS_FILE": str(keys)}
    config = tmp_path / "system.yaml"
    config.write_text(yaml.safe_dump(document(int(environ["FATHOM_HTTP_PORT"]), model("fixed", required=True))))
    with running_system(folder, config, environ) as running:
        running.http.headers["X-API-Key"] = KEYS[Scope.ADMIN]
        yield running


def add(system: RunningSystem, **headers: str) -> httpx.Response:
    block = yaml.safe_dump(SECOND)
    return system.http.post("/v1/models", content=block, headers={"Content-Type": "application/yaml"} | headers)


def test_a_model_comes_answers_and_goes_and_the_commands_know_of_it(system: RunningSystem, tmp_path: Path) -> None:
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

    gone = system.http.delete("/v1/models/second")
    assert gone.status_code == 202, gone.text
    wait_for(lambda: "second" not in system.models(), 60, "the model to go")
    assert system.http.delete("/v1/models/second").status_code == 404
    assert system.http.delete("/v1/models/fixed").status_code == 409

    assert add(system).status_code == 202
    system.launch("deploy", str(tmp_path / "system.yaml"))
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
