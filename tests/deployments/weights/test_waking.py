"""What a door knows of a model before its weights are loaded: labels, and why it cannot be woken."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from deployments.catalogue import ModelState
from deployments.client.model_client import ModelClient
from deployments.client.replica_calls import ReplicaCalls
from deployments.client.serve_report import Surroundings, records_from
from deployments.definition import ModelDefinition, WeightsSource
from deployments.errors import DeadlineExceeded, ModelUnavailable, Overloaded, ServingError
from deployments.prediction import Outcome
from deployments.request import Image, Request
from deployments.weights.cache import CacheEntry, digest_of
from deployments.weights.fetch import Fetcher
from deployments.weights.folders import entry_of
from deployments.weights.known import remember_labels
from deployments.weights.resolve import log_progress, with_local_weights
from deployments.weights.settings import WeightsSettings

URI = "hf://FathomNet/some-model/best.pt"
SOURCE = WeightsSource(uri=URI)


def sleeping(num_gpus: float = 0, target: int = 0, message: str = "", **args: Any) -> dict[str, Any]:
    """One application at zero replicas as the controller reports it; with a target of 1 it is waking."""
    return {
        "model": {
            "status": "RUNNING",
            "deployed_app_config": {
                "import_path": "deployments.app:build",
                "args": {"family": "yolov5", "weights": URI, **args},
                "deployments": [{"name": "Model", "ray_actor_options": {"num_gpus": num_gpus}}],
            },
            "deployments": {"Model": {"target_num_replicas": target, "message": message, "replicas": []}},
        }
    }


def put(cache: WeightsSettings, content: bytes = b"weights") -> CacheEntry:
    entry = entry_of(SOURCE, cache)
    entry.file.parent.mkdir(parents=True, exist_ok=True)
    entry.file.write_bytes(content)
    return entry


def test_offline_a_model_without_weights_is_not_woken_and_says_why(cache: WeightsSettings) -> None:
    offline = Surroundings(cache.model_copy(update={"offline": True}))
    [record] = records_from(sleeping(), offline)
    assert record.state is ModelState.ASLEEP
    assert record.reason == f"its weights {URI} are not there, and FATHOM_WEIGHTS_OFFLINE is set"
    assert not record.can_answer

    put(cache)
    [record] = records_from(sleeping(), offline)
    assert (record.reason, record.can_answer) == ("", True)


def test_offline_a_damaged_file_is_a_reason_too(cache: WeightsSettings) -> None:
    entry = put(cache)
    entry.note(digest_of(entry.file), "publisher")
    entry.file.write_bytes(b"weigh")
    [record] = records_from(sleeping(), Surroundings(cache.model_copy(update={"offline": True})))
    assert "damaged: 5 bytes, expected 7" in record.reason


def test_where_weights_can_be_fetched_the_model_is_woken_and_says_what_it_waits_for(cache: WeightsSettings) -> None:
    around = Surroundings(cache)
    [record] = records_from(sleeping(), around)
    assert record.can_answer
    entry = entry_of(SOURCE, cache)
    entry.part.parent.mkdir(parents=True)
    entry.part.write_bytes(b"x" * 2_500_000)
    [record] = records_from(sleeping(target=1), around)
    assert record.state is ModelState.STARTING
    assert record.reason == f"its weights {URI} are fetched in part: 2.5 MB"
    put(cache)
    [record] = records_from(
        sleeping(target=1, message="Error:\ndeployments.errors.ModelUnavailable: no checkpoint"), around
    )
    assert record.reason == "no checkpoint"


@pytest.mark.parametrize(
    ("share", "gpus", "reason"),
    [
        (0.25, 0.0, "needs 0.25 GPU, and the machine with most has 0"),
        (2, 1.0, "needs 2 GPU, and the machine with most has 1"),
        (0.25, 1.0, ""),
        (0, 0.0, ""),
        (0.25, None, ""),
    ],
)
def test_a_model_whose_gpu_is_not_there_is_not_woken(
    cache: WeightsSettings, share: float, gpus: float | None, reason: str
) -> None:
    put(cache)
    [record] = records_from(sleeping(num_gpus=share), Surroundings(cache, gpus))
    assert record.reason.startswith(reason)
    assert record.can_answer is not bool(reason)


def test_labels_are_unknown_until_the_first_load_and_known_ever_after(cache: WeightsSettings) -> None:
    around = Surroundings(cache)
    put(cache)
    definition = ModelDefinition(family="yolov5", weights=URI)
    local = with_local_weights(definition, Fetcher(cache))
    assert local.weights_path == entry_of(SOURCE, cache).file
    assert records_from(sleeping(), around)[0].definition.labels is None
    remember_labels(definition, ("Crab", "Fish"), cache)
    assert records_from(sleeping(), around)[0].definition.labels == ("Crab", "Fish")
    # What the definition declares wins, and is not replaced by what a file says.
    assert records_from(sleeping(labels=["Eel"]), around)[0].definition.labels == ("Eel",)


def test_labels_of_a_file_go_with_the_file(cache: WeightsSettings) -> None:
    entry = put(cache)
    entry.note("0" * 64, "first fetch")
    entry.remember_labels(("Crab",))
    entry.note("1" * 64, "first fetch")
    record = entry.record()
    assert record is not None
    assert record.labels is None


def test_a_record_that_is_no_record_is_no_record(cache: WeightsSettings) -> None:
    entry = put(cache)
    for text in (b"", b"{", b"[]", b'{"uri": 1}', b"\xff", b'{"labels": "x"}'):
        entry.record_file.write_bytes(text)
        assert entry.record() is None


def test_a_path_and_a_family_of_its_own_are_left_alone(tmp_path: Path, cache: WeightsSettings) -> None:
    for weights in (None, str(tmp_path / "own.pt")):
        definition = ModelDefinition(family="yolov5", weights=weights)
        assert with_local_weights(definition, Fetcher(cache)) is definition


def test_progress_is_told_in_tenths() -> None:
    lines: list[str] = []
    note = log_progress("best.pt", lines.append)
    for there_bytes in range(0, 2_000_001, 50_000):
        note(there_bytes, 2_000_000)
    assert len(lines) == 11
    assert lines[-1] == "best.pt: 2.0 MB of 2.0 MB"


def request(deadline_s: float = 0.05) -> Request:
    return Request(Image.from_encoded(b"x"), deadline_s=deadline_s)


class Calls(ReplicaCalls):
    """The calls to a model, all with this answer, or never answered with None."""

    def __init__(self, answer: ServingError | None) -> None:
        super().__init__("m")
        self._answer = answer

    async def send(self, requests: list[Request]) -> list[Outcome]:
        if self._answer is None:
            await asyncio.Event().wait()
        assert self._answer is not None
        return [self._answer for _ in requests]


def client_of(answer: ServingError | None, reason: str) -> ModelClient:
    error = ModelUnavailable(reason) if reason else None
    return ModelClient(error_of=lambda model: error, calls_of=lambda model: Calls(answer))


async def outcome_of(client: ModelClient, requests: Sequence[Request]) -> Outcome:
    [outcome] = await client("m", requests)
    return outcome


@pytest.mark.parametrize("answer", [None, ModelUnavailable("the model failed to start, or was removed")])
async def test_an_asker_is_told_why_the_model_did_not_wake(answer: ServingError | None) -> None:
    outcome = await outcome_of(client_of(answer, "model m is unhealthy: best.pt is damaged"), [request()])
    assert type(outcome) is ModelUnavailable
    assert outcome.message == "model m is unhealthy: best.pt is damaged"


async def test_other_errors_and_those_of_a_well_model_stay_what_they_are() -> None:
    assert type(await outcome_of(client_of(None, ""), [request()])) is DeadlineExceeded
    assert type(await outcome_of(client_of(Overloaded("full"), "model m is starting"), [request()])) is Overloaded
