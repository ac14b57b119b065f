"""URIs are hostile: what is allowed, where it lies in the cache, and what is refused."""

import re
from pathlib import Path

import pytest

from deployments.app import build
from deployments.definition import ModelDefinition, WeightsSource
from deployments.errors import ModelUnavailable
from deployments.weights.folders import entry_of
from deployments.weights.settings import WeightsSettings
from deployments.weights.weights_uri import InvalidWeightsUri, parse_uri


@pytest.mark.parametrize(
    ("uri", "key", "address"),
    [
        ("hf://FathomNet/trash/best.pt", "hf/FathomNet/trash/main/best.pt", "FathomNet/trash/resolve/main/best.pt"),
        ("hf://a/b@v1.0/w/x.pt", "hf/a/b/v1.0/w/x.pt", "a/b/resolve/v1.0/w/x.pt"),
        ("doi:10.5281/zenodo.55/m-33k.pt", "doi/10.5281/zenodo.55/m-33k.pt", "55/m-33k.pt"),
    ],
)
def test_the_key_shows_where_a_file_comes_from(uri: str, key: str, address: str) -> None:
    parsed = parse_uri(WeightsSource(uri=uri))
    assert (str(parsed.key), parsed.address) == (key, address)


def test_addresses_that_differ_anywhere_have_places_of_their_own() -> None:
    uris = ["https://a.org/x/best.pt", "https://a.org/y/best.pt", "https://a.org/x/best.pt?v=2", "file:///x/best.pt"]
    keys = {parse_uri(WeightsSource(uri=uri)).key for uri in uris}
    assert len(keys) == len(uris)
    assert {key.name for key in keys} == {"best.pt"}
    assert not parse_uri(WeightsSource(uri=uris[-1])).needs_network


def test_a_revision_can_stand_beside_the_uri() -> None:
    assert parse_uri(WeightsSource(uri="hf://a/b/x.pt", revision="f31")).address == "a/b/resolve/f31/x.pt"


@pytest.mark.parametrize(
    "uri",
    [
        "http://a.org/best.pt",
        "ftp://a.org/best.pt",
        "ssh://a.org/best.pt",
        "best.pt",
        "hf://a/best.pt",
        "hf://a/b/../../../etc/passwd",
        "hf://a/b/%2e%2e/x.pt",
        "hf://../b/x.pt",
        "hf://a/b@../x.pt",
        "hf://a/b//x.pt",
        "hf://a/b/x\\y.pt",
        "hf://a/b/x.pt.record.json",
        "hf://a/b/x.pt.part",
        "hf://a/b/.x.pt",
        "doi:10.5281/zenodo.55",
        "doi:10.5281/zenodo.55/../x.pt",
        "doi:10.1234/other.55/x.pt",
        "https:///x.pt",
        "https://user:secret@a.org/x.pt",
        "https://a.org/",
        "https://a.org/x.pt#part",
        "https://a.org/%2e%2e",
        "https://a.org:port/x.pt",
        "file://host/x.pt",
        "file:relative/x.pt",
        "file:///a/../x.pt",
        "file:///a/%2e%2e/x.pt",
        "file:///a/x%00.pt",
        "hf://a/b/x y.pt",
        "hf://a/b/x\n.pt",
        "hf://a/b/" + "x" * 3000,
        "hf://a/b/" + "d/" * 40 + "x.pt",
    ],
)
def test_what_could_lead_elsewhere_is_refused(uri: str) -> None:
    with pytest.raises(InvalidWeightsUri):
        parse_uri(WeightsSource(uri=uri))
    with pytest.raises(ModelUnavailable, match="weights: "):
        entry_of(WeightsSource(uri=uri), WeightsSettings())


def test_a_secret_in_an_address_is_not_repeated() -> None:
    with pytest.raises(InvalidWeightsUri) as caught:
        parse_uri(WeightsSource(uri="https://user:secret@a.org/x.pt"))
    assert "secret" not in str(caught.value)


def test_a_path_is_no_source_and_a_mapping_is_one() -> None:
    assert ModelDefinition(family="yolov5", weights="/models/best.pt").weights_source is None
    assert ModelDefinition(family="yolov5", weights="hf://a/b/x.pt").weights_source == WeightsSource(
        uri="hf://a/b/x.pt"
    )
    definition = ModelDefinition.model_validate({"family": "yolov5", "weights": {"uri": "hf://a/b/x.pt"}})
    assert definition.weights_source is not None
    assert definition.weights_path is None


def test_an_application_with_weights_from_elsewhere_is_not_built() -> None:
    with pytest.raises(InvalidWeightsUri, match=re.escape("got 'http://a.org/best.pt'")):
        build(ModelDefinition(family="yolov5", weights="http://a.org/best.pt"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FATHOM_WEIGHTS_OFFLINE", "perhaps"),
        ("FATHOM_WEIGHTS_MIRROR", "ship"),
        ("FATHOM_WEIGHTS_MIRROR", "file:///media"),
        ("FATHOM_WEIGHTS_MIRROR", "http://user:secret@ship/"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ModelUnavailable, match=name):
        WeightsSettings.from_environment({name: value})


def test_the_settings_come_from_the_environment(tmp_path: Path) -> None:
    assert WeightsSettings.from_environment({}) == WeightsSettings()
    assert WeightsSettings.from_environment({"XDG_CACHE_HOME": "/c"}).folder == Path("/c/fathomnet-serve/weights")
    given = WeightsSettings.from_environment(
        {
            "FATHOM_WEIGHTS_DIR": str(tmp_path),
            "FATHOM_WEIGHTS_OFFLINE": "1",
            "FATHOM_WEIGHTS_MIRROR": "http://ship:8000/zoo/",
            "XDG_CACHE_HOME": "/c",
        }
    )
    assert given == WeightsSettings(dir=tmp_path, offline=True, mirror="http://ship:8000/zoo")


@pytest.mark.parametrize(
    ("uri", "revision", "key"),
    [
        ("hf://a/b", None, "hf/a/b/main"),
        ("hf://a/b@v1.0", None, "hf/a/b/v1.0"),
        ("hf://a/b", "abc123", "hf/a/b/abc123"),
    ],
)
def test_a_repository_without_a_file_is_a_folder(uri: str, revision: str | None, key: str) -> None:
    parsed = parse_uri(WeightsSource(uri=uri, revision=revision))
    assert (parsed.is_folder, str(parsed.key), parsed.needs_network) == (True, key, True)
    assert not parse_uri(WeightsSource(uri="hf://a/b/x.pt")).is_folder


@pytest.mark.parametrize("uri", ["hf://a", "hf://a/", "hf://a/b/", "hf://a/b@..", "hf://../b", "hf://a/best.pt"])
def test_what_names_neither_a_file_nor_a_repository_is_refused(uri: str) -> None:
    with pytest.raises(InvalidWeightsUri):
        parse_uri(WeightsSource(uri=uri))
