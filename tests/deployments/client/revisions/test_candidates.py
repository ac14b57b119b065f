"""Which requests are a candidate's is decided by their ids, and one that is ill gets none for a while."""

import pytest

from deployments.catalogue import ModelRecord, ModelState
from deployments.client.revisions.candidates import (
    FIRST_PATIENCE_S,
    LEAST_PATIENCE_S,
    PAUSE_S,
    CandidateList,
    Trial,
    can_be_tried,
    place_of,
)
from deployments.errors import DeadlineExceeded, InvalidImage, ModelUnavailable, Overloaded, ServingError
from deployments.prediction import Opaque
from tests.deployments.client.revisions.revision_records import candidate, plain

IDS = [f"frame-{number}" for number in range(2000)]


def names_for(records: tuple[ModelRecord, ...], ids: list[str]) -> list[str]:
    found = CandidateList(lambda: records).of("main")
    assert found is not None
    chosen = [found.chosen_for(one) for one in ids]
    return [one.name if one else "main" for one in chosen]


def test_each_candidate_gets_its_share_and_the_model_the_rest() -> None:
    names = names_for((plain("main"), candidate("a", share=0.1), candidate("b", share=0.3)), IDS)
    shares = {name: names.count(name) / len(names) for name in ("a", "b", "main")}
    assert shares == pytest.approx({"a": 0.1, "b": 0.3, "main": 0.6}, abs=0.03)


def test_an_id_always_gives_the_same_revision_and_a_growing_share_keeps_its_requests() -> None:
    small = names_for((candidate("a", share=0.1),), IDS)
    assert small == names_for((candidate("a", share=0.1),), IDS)
    large = names_for((candidate("a", share=0.4),), IDS)
    assert {new for old, new in zip(small, large, strict=True) if old == "a"} == {"a"}


def test_without_an_id_chance_decides() -> None:
    names = names_for((candidate("a", share=0.5),), [""] * 1000)
    assert names.count("a") == pytest.approx(500, abs=100)


@pytest.mark.parametrize(("share", "name"), [(0.0, "main"), (1.0, "a")])
def test_a_share_of_none_or_all(share: float, name: str) -> None:
    assert set(names_for((candidate("a", share=share),), IDS)) == {name}


def test_shadows_are_chosen_apart_from_shares() -> None:
    found = CandidateList(lambda: (candidate("a", share=0.5), candidate("b", shadow=0.5))).of("main")
    assert found is not None
    both = [bool(found.chosen_for(one)) and bool(found.shadows_for(one)) for one in IDS]
    assert sum(both) / len(IDS) == pytest.approx(0.25, abs=0.04)


def test_a_model_without_candidates_has_none_until_the_list_changes() -> None:
    records = (plain("main"), candidate("a", of="other", share=0.5))
    candidates = CandidateList(lambda: records)
    assert candidates.of("main") is None
    records = (plain("main"), candidate("a", share=0.5))
    assert candidates.of("main") is not None


def test_ids_of_any_kind_have_a_place() -> None:
    assert 0 <= place_of("\udc80", "m") < 1
    assert place_of("one", "m") != place_of("one", "another")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize(
    ("error", "is_paused"),
    [
        (ModelUnavailable("away"), True),
        (DeadlineExceeded("late"), True),
        (Overloaded("full"), False),
        (InvalidImage("bad"), False),
    ],
)
def test_a_candidate_that_failed_gets_nothing_for_a_while(error: ServingError, is_paused: bool) -> None:
    clock = Clock()
    trial = Trial(clock)
    trial.note([Opaque(b"", "a"), error], 0.1)
    assert trial.is_paused is is_paused
    clock.now_s += PAUSE_S
    assert not trial.is_paused


def test_patience_follows_what_a_candidate_usually_takes_within_half_the_deadline() -> None:
    trial = Trial(Clock())
    assert trial.patience_s(60) == FIRST_PATIENCE_S
    assert trial.patience_s(2) == 1
    for _ in range(100):
        trial.note([Opaque(b"", "a")], 0.01)
    assert trial.patience_s(60) == LEAST_PATIENCE_S
    for _ in range(100):
        trial.note([DeadlineExceeded("late")], trial.patience_s(60))
    assert trial.patience_s(60) == 30, "a slow one is given more time by and by"


def test_one_that_is_asleep_is_not_woken() -> None:
    assert not can_be_tried(candidate("a", state=ModelState.ASLEEP, share=1))
    assert can_be_tried(candidate("a", share=1))
