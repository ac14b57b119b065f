"""Folders of `transformers`: which files are fetched, that they belong together, and how they travel."""

import json
from pathlib import Path

import pytest

from deployments.definition import ModelDefinition, WeightsSource
from deployments.errors import ModelUnavailable
from deployments.weights.fetch import Fetcher
from deployments.weights.folders import entry_of
from deployments.weights.known import missing_weights, remember_labels, with_known_labels
from deployments.weights.resolve import with_local_weights
from deployments.weights.settings import WeightsSettings
from tests.deployments.weights.fetchers import PATIENT, fetcher_of, sha256, silent
from tests.deployments.weights.file_server import FileServer

SOURCE = WeightsSource(uri="hf://MBARI-org/some-vit")
FOLDER = "hf/MBARI-org/some-vit/main"
CONFIG, PROCESSOR, WEIGHTS = "config.json", "preprocessor_config.json", "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
COMMIT = "c0ffee" * 6 + "beef"


def at(name: str, revision: str = "main") -> str:
    return f"/MBARI-org/some-vit/resolve/{revision}/{name}"


def publish(server: FileServer, content: bytes, revision: str = "main", names: tuple[str, ...] = (WEIGHTS,)) -> None:
    """A repository with these files of weights, and files that no model needs."""
    for name in (CONFIG, PROCESSOR, "README.md", "training_args.bin", "optimizer.pt"):
        server.files[at(name, revision)] = f'{{"name": "{name}"}}'.encode()
    for name in names:
        server.files[at(name, revision)] = content
    if len(names) > 1:
        index = {"weight_map": {f"tensor{number}": name for number, name in enumerate(names)}}
        server.files[at(INDEX, revision)] = json.dumps(index).encode()


def names_in(folder: Path) -> list[str]:
    endings = (".record.json", ".lock")
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(endings))


def test_the_files_of_a_model_are_fetched_and_no_others(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    publish(server, content)
    seen: list[tuple[int, int | None]] = []
    fetcher = fetcher_of(cache, server)
    path = fetcher.ensure(SOURCE, lambda there, total: seen.append((there, total)))
    assert path == cache.folder / FOLDER
    assert names_in(path) == [CONFIG, WEIGHTS, PROCESSOR]
    assert [asked for asked, _ in server.asked] == [at(CONFIG), at(PROCESSOR), at(WEIGHTS)]
    assert seen[-1] == (len(content), len(content))
    record = entry_of(SOURCE, cache).record()
    assert record is not None
    assert (record.uri, record.sha256) == (f"{SOURCE.uri}/{WEIGHTS}", sha256(content))

    assert fetcher.ensure(SOURCE, silent) == path
    assert len(server.asked) == 3
    assert entry_of(SOURCE, cache).reason(SOURCE) == ""


def test_shards_are_fetched_by_their_index(cache: WeightsSettings, server: FileServer, content: bytes) -> None:
    shards = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    publish(server, content, names=shards)
    del server.files[at(shards[1])]
    with pytest.raises(ModelUnavailable, match=r"model-00002-of-00002\.safetensors could not be fetched.*404"):
        fetcher_of(cache, server).ensure(SOURCE, silent)
    entry = entry_of(SOURCE, cache)
    assert entry.reason_by_size(SOURCE) == f"incomplete: {shards[1]} is not there"
    server.files[at(shards[1])] = content
    path = fetcher_of(cache, server).ensure(SOURCE, silent)
    assert names_in(path) == sorted([CONFIG, PROCESSOR, INDEX, *shards])
    assert entry.size_bytes() > 2 * len(content)


@pytest.mark.parametrize(
    "name", ["../../evil.safetensors", "/etc/x.safetensors", "x.bin", "x.safetensors/../../y.safetensors"]
)
def test_an_index_cannot_name_a_file_elsewhere(
    cache: WeightsSettings, server: FileServer, content: bytes, name: str
) -> None:
    publish(server, content, names=("a.safetensors", name))
    with pytest.raises(ModelUnavailable, match="names the file"):
        fetcher_of(cache, server).ensure(SOURCE, silent)
    assert entry_of(SOURCE, cache).reason_by_size(SOURCE).startswith("damaged: ")
    assert all("evil" not in asked and "etc" not in asked for asked, _ in server.asked)


def test_all_files_are_of_the_commit_of_the_first(cache: WeightsSettings, server: FileServer, content: bytes) -> None:
    publish(server, content)
    publish(server, content[::-1], COMMIT)
    server.headers[at(CONFIG)] = {"X-Repo-Commit": COMMIT}
    path = fetcher_of(cache, server).ensure(SOURCE, silent)
    assert (path / WEIGHTS).read_bytes() == content[::-1]
    assert [asked for asked, _ in server.asked] == [at(CONFIG), at(PROCESSOR, COMMIT), at(WEIGHTS, COMMIT)]


def test_files_of_two_commits_are_not_taken_for_one_model(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    publish(server, content)
    server.headers[at(WEIGHTS)] = {"X-Repo-Commit": "0ld" + COMMIT[3:]}
    fetcher = fetcher_of(cache, server)
    fetcher.ensure(WeightsSource(uri=f"{SOURCE.uri}/{WEIGHTS}"), silent)
    publish(server, content, COMMIT)
    server.headers[at(CONFIG)] = {"X-Repo-Commit": COMMIT}
    with pytest.raises(ModelUnavailable, match=r"a mixture of two commits, model\.safetensors of 0ldfee.*: delete "):
        fetcher.ensure(SOURCE, silent)
    assert entry_of(SOURCE, cache).reason_by_size(SOURCE).startswith("a mixture of two commits")


def test_a_commit_that_is_none_is_not_put_into_an_address(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    publish(server, content)
    server.headers[at(CONFIG)] = {"X-Repo-Commit": "../../other/repo"}
    fetcher_of(cache, server).ensure(SOURCE, silent)
    assert [asked for asked, _ in server.asked] == [at(CONFIG), at(PROCESSOR), at(WEIGHTS)]


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (CONFIG, r"has no config\.json.*name it: hf://OWNER/REPO/FILE"),
        (PROCESSOR, r"has no preprocessor_config\.json"),
        (WEIGHTS, r"has neither model\.safetensors nor model\.safetensors\.index\.json; weights in pickles"),
    ],
)
def test_a_repository_that_is_no_model_says_what_it_lacks(
    cache: WeightsSettings, server: FileServer, content: bytes, missing: str, reason: str
) -> None:
    publish(server, content)
    del server.files[at(missing)]
    with pytest.raises(ModelUnavailable, match=reason):
        fetcher_of(cache, server).ensure(SOURCE, silent)


def test_a_configuration_that_is_too_large_is_not_fetched(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    publish(server, content)
    server.files[at(CONFIG)] = b"{" + b" " * (5 * 2**20)
    with pytest.raises(ModelUnavailable, match="the server sends more than 4194304 bytes"):
        fetcher_of(cache, server).ensure(SOURCE, silent)


def test_an_interrupted_transfer_goes_on_and_says_how_far_it_is(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    publish(server, content)
    server.cut_after_bytes = [100, 100, 400_000, 0, 0]
    with pytest.raises(ModelUnavailable, match=r"0\.4 MB are kept"):
        fetcher_of(cache, server).ensure(SOURCE, silent)
    definition = ModelDefinition(family="huggingface", weights=SOURCE.uri)
    expected = f"its weights {SOURCE.uri} are incomplete: {WEIGHTS} is fetched in part: 0.4 MB of 1.0 MB"
    assert missing_weights(definition, cache) == expected
    server.cut_after_bytes = []
    assert (fetcher_of(cache, server).ensure(SOURCE, silent) / WEIGHTS).read_bytes() == content
    assert server.asked[-1] == (at(WEIGHTS), "bytes=400000-")


def test_what_is_declared_is_that_of_the_one_file_of_weights(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    publish(server, content)
    wrong = SOURCE.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ModelUnavailable, match="declared sha256"):
        fetcher_of(cache, server).ensure(wrong, silent)
    right = SOURCE.model_copy(update={"sha256": sha256(content), "size_bytes": len(content)})
    fetcher_of(cache, server).ensure(right, silent)
    record = entry_of(right, cache).record()
    assert record is not None
    assert record.sha256_from == "declared"


def test_a_hash_of_one_file_does_not_vouch_for_several(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    publish(server, content, names=("a.safetensors", "b.safetensors"))
    with pytest.raises(ModelUnavailable, match="give the full commit as revision instead"):
        fetcher_of(cache, server).ensure(SOURCE.model_copy(update={"sha256": "0" * 64}), silent)


def test_offline_nothing_is_asked_and_a_copied_folder_is_used(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    publish(server, content)
    offline = cache.model_copy(update={"offline": True})
    with pytest.raises(
        ModelUnavailable, match=rf"the weights {SOURCE.uri} are not there, and FATHOM_WEIGHTS_OFFLINE"
    ):
        fetcher_of(offline, server).ensure(SOURCE, silent)
    folder = cache.folder / FOLDER
    folder.mkdir(parents=True)
    for name in (CONFIG, PROCESSOR):
        (folder / name).write_bytes(b"{}")
    with pytest.raises(ModelUnavailable, match=rf"are incomplete: {WEIGHTS} is not there"):
        fetcher_of(offline, server).ensure(SOURCE, silent)
    (folder / WEIGHTS).write_bytes(content)
    assert fetcher_of(offline, server).ensure(SOURCE, silent) == folder
    assert server.asked == []


def test_a_mirror_has_the_files_where_the_cache_has_them(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    for name in (CONFIG, PROCESSOR, WEIGHTS):
        server.files[f"/zoo/{FOLDER}/{name}"] = content
    mirrored = WeightsSettings(dir=cache.dir, mirror=f"{server.url}/zoo")
    assert Fetcher(mirrored, PATIENT).ensure(SOURCE, silent) == cache.folder / FOLDER


def test_a_damaged_file_of_a_folder_is_fetched_again(
    cache: WeightsSettings, server: FileServer, content: bytes
) -> None:
    publish(server, content)
    path = fetcher_of(cache, server).ensure(SOURCE, silent)
    (path / WEIGHTS).write_bytes(content[:-1] + b"!")
    entry = entry_of(SOURCE, cache)
    assert entry.reason(SOURCE).startswith(f"incomplete: {WEIGHTS} is damaged: its sha256 is")
    fetcher_of(cache, server).ensure(SOURCE, silent)
    assert (path / WEIGHTS).read_bytes() == content


def test_labels_found_in_a_folder_are_remembered(cache: WeightsSettings, server: FileServer, content: bytes) -> None:
    publish(server, content)
    definition = ModelDefinition(family="huggingface", weights=SOURCE.uri)
    local = with_local_weights(definition, fetcher_of(cache, server))
    assert local.weights_path == cache.folder / FOLDER
    remember_labels(definition, ("Crab", "Fish"), cache)
    assert with_known_labels(definition, cache).labels == ("Crab", "Fish")
