"""The signature of a presigned address stays where it is needed: in no listing, no error, no log and no record."""

import logging
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deployments.client.serve_report import Surroundings, records_from
from deployments.definition import ModelDefinition, WeightsSource
from deployments.errors import ModelUnavailable
from deployments.text.error_text import reason_in
from deployments.weights.catalogue import CatalogueModel
from deployments.weights.commands import Commands
from deployments.weights.folders import entry_of
from deployments.weights.http_client import TransferSettings
from deployments.weights.known import missing_weights
from deployments.weights.settings import WeightsSettings
from deployments.weights.transfer import FileTransfer, Progress, Published
from deployments.weights.weights_uri import parse_uri
from redis_bridge.registry.model_registry import entry_of as registry_entry_of
from serve_app.faces.system.model_listing import describe
from serve_app.launcher.app_status import application_states
from tests.deployments.weights.file_server import FileServer

SECRET = "X-Amz-Signature=s3cret"
URI = f"https://weights.example/models/best.pt?{SECRET}#part"
SIGNED = f"https://weights.example/models/best.pt?{SECRET}"
QUICK = TransferSettings(connect_s=1, read_s=1, retry_wait_s=0.001, attempts=2)


@pytest.mark.parametrize("weights", [SIGNED, {"uri": SIGNED, "sha256": "0" * 64}])
@pytest.mark.parametrize("is_offline", [True, False])
@pytest.mark.parametrize("replicas", [[], [{"state": "STARTING"}], [{"state": "RUNNING"}]])
def test_no_listing_shows_it(
    cache: WeightsSettings, weights: object, is_offline: bool, replicas: list[dict[str, str]]
) -> None:
    settings = cache.model_copy(update={"offline": is_offline})
    application = {
        "status": "RUNNING" if not replicas else "DEPLOYING",
        "deployed_app_config": {
            "import_path": "deployments.app:build",
            "args": {"family": "yolov5", "weights": weights, "queues": ["image_queue_x"]},
        },
        "deployments": {"Model": {"target_num_replicas": 0, "replicas": replicas, "message": f"Error: GET {SIGNED}"}},
    }
    [record] = records_from({"m": application}, Surroundings(settings))
    assert "s3cret" not in record.reason
    listed = describe(record)
    assert "s3cret" not in str(listed)
    assert "https://weights.example/models/best.pt?..." in str(listed["weights"])
    assert "s3cret" not in str(registry_entry_of("image_queue_x", record))


@pytest.mark.parametrize(
    "uri", [URI, f"https://weights.example:99999/a.pt?{SECRET}", f"ftp://a/b?{SECRET}", f"hf://a/..?{SECRET}",
            "https://me:s3cret@host/best.pt", "https://me:s3cret/x@host/best.pt", f"doi:10.1/x?{SECRET}",
            f"https://host/{'x/' * 1100}?{SECRET}"],
)  # fmt: skip
def test_an_address_that_is_refused_is_shown_without_it(cache: WeightsSettings, uri: str) -> None:
    definition = ModelDefinition(family="yolov5", weights=WeightsSource(uri=uri))
    assert "s3cret" not in missing_weights(definition, cache)
    with pytest.raises(ModelUnavailable) as refused:
        entry_of(WeightsSource(uri=uri), cache)
    assert "s3cret" not in refused.value.message


@dataclass
class Lines:
    """A terminal that keeps what it is told."""

    said: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, name: str) -> AbstractContextManager[Progress]:
        raise AssertionError(f"nothing is fetched of {name}")


def there(server: FileServer, content: bytes) -> None:
    server.files["/best.pt"] = content


def redirected_for_ever(server: FileServer, content: bytes) -> None:
    server.redirects["/best.pt"] = f"{server.url}/best.pt?{SECRET}"


def redirected_to_a_disk(server: FileServer, content: bytes) -> None:
    server.redirects["/best.pt"] = f"file:///best.pt?{SECRET}"


def busy(server: FileServer, content: bytes) -> None:
    server.busy_answers = 100


def gone(server: FileServer, content: bytes) -> None:
    server.files.clear()


@pytest.mark.parametrize("is_so", [there, redirected_for_ever, redirected_to_a_disk, busy, gone])
def test_neither_errors_nor_logs_hold_it(
    server: FileServer,
    content: bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    is_so: Callable[[FileServer, bytes], None],
) -> None:
    is_so(server, content)
    transfer = FileTransfer("best.pt", tmp_path / "best.pt.part", QUICK, Published())
    address = f"{server.url}/best.pt?{SECRET}"
    with caplog.at_level(logging.DEBUG):
        if is_so is there:
            transfer.run(address, lambda there_bytes, all_bytes: None)
        else:
            with pytest.raises(ModelUnavailable) as failed:
                transfer.run(address, lambda there_bytes, all_bytes: None)
            assert "s3cret" not in "".join(traceback.format_exception(failed.value))
    assert server.asked
    assert "s3cret" not in caplog.text


def test_neither_the_record_nor_the_list_holds_it(cache: WeightsSettings, content: bytes) -> None:
    source = WeightsSource(uri=SIGNED)
    entry = entry_of(source, cache)
    entry.file.parent.mkdir(parents=True)
    entry.file.write_bytes(content)
    assert entry.reason(source) == ""
    assert "s3cret" not in entry.record_file.read_text()
    lines = Lines()
    Commands(cache, lines).show([CatalogueModel("m", ModelDefinition(family="yolov5", weights=source))])
    assert "s3cret" not in str(lines.said)
    assert "https://weights.example/models/best.pt?..." in str(lines.said)


def test_what_serve_says_of_a_failure_is_shown_without_it_and_the_fetch_has_it() -> None:
    assert reason_in(f"Traceback\n  File x\nOSError: GET {SIGNED} failed") == (
        "OSError: GET https://weights.example/models/best.pt?... failed"
    )
    failed = {"status": "DEPLOY_FAILED", "message": f"OSError: GET {SIGNED} failed"}
    [state] = application_states({"applications": {"m": failed}}).values()
    assert state.reason == "OSError: GET https://weights.example/models/best.pt?... failed"
    assert parse_uri(WeightsSource(uri=SIGNED)).address == SIGNED
