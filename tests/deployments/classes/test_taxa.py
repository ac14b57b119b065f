"""The table of taxa in a model's definition: what is refused, and that nobody else is told of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from deployments.catalogue import ModelRecord, ModelState
from deployments.classes.taxa import Taxon
from deployments.definition import ModelDefinition, ModelKnobs
from redis_bridge.registry.model_registry import entry_of
from serve_app.faces.system.model_listing import describe

STAR = {
    "scientific_name": "Asterias rubens",
    "aphia_id": 123776,
    "rank": "species",
    "higher": {"class": "Asteroidea"},
}


def definition(labels: list[str] | None, **taxa: Any) -> ModelDefinition:
    return ModelDefinition.model_validate({"family": "benthic-demo", "labels": labels, "taxa": taxa})


def test_a_block_may_say_what_its_labels_are() -> None:
    found = definition(["star", "trash"], star=STAR).taxa
    assert found == {"star": Taxon.model_validate(STAR)}
    assert found["star"].identifier == "urn:lsid:marinespecies.org:taxname:123776"


def test_a_taxon_may_have_no_number() -> None:
    assert Taxon(scientific_name="Asteroidea").identifier == ""


def test_labels_that_only_the_weights_know_are_taken_as_they_are() -> None:
    assert set(definition(None, anything=STAR).taxa) == {"anything"}


@pytest.mark.parametrize(
    ("taxa", "reason"),
    [
        ({"strar": STAR}, "the model has no label 'strar'; did you mean 'star'?"),
        ({"star": STAR | {"aphia_id": 0}}, "greater than or equal to 1"),
        ({"star": STAR | {"aphiaid": 1}}, "aphiaid"),
        ({"star": {"aphia_id": 1}}, "scientific_name"),
        ({"star": STAR | {"higher": {"tribe": "x"}}}, "tribe"),
        ({"star": STAR | {"scientific_name": ""}}, "at least 1 character"),
    ],
)
def test_a_wrong_table_is_refused(taxa: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError) as caught:
        definition(["star", "trash"], **taxa)
    assert reason in str(caught.value)


def test_what_clients_are_told_of_a_model_stays_as_it_was() -> None:
    one = ModelRecord("m", definition(["star"], star=STAR), ModelKnobs(), ModelState.READY)
    assert "taxa" not in describe(one)
    assert "taxa" not in entry_of("q", one)["definition"]
