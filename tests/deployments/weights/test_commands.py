"""`python -m deployments.weights`: from a mirror into a cache, from the cache to a disk, and from the disk again."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from deployments.weights.__main__ import main
from deployments.weights.catalogue import CatalogueError, read_catalogue
from deployments.weights.settings import WeightsSettings
from tests.deployments.weights.file_server import FileServer

ROOT = Path(__file__).parents[3]
KEY = "hf/FathomNet/some-model/main/best.pt"


def model(name: str, **args: object) -> dict[str, object]:
    return {"name": name, "import_path": "deployments.app:build", "route_prefix": None, "args": args}


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    document = {
        "x-incomplete": {"known": ["class names"], "elsewhere": ["not hosted: its file is not known"]},
        "applications": [
            model("known", family="yolov5", weights="hf://FathomNet/some-model/best.pt", licence="MIT"),
            model("absent", family="yolov5", weights={"uri": "doi:10.5281/zenodo.1/x.pt"}, labels=["a", "b"]),
            model("own", family="benthic-demo"),
            {"name": "api", "import_path": "serve_app.app:build"},
        ],
    }
    path = tmp_path / "catalogue.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


@dataclass(frozen=True)
class Done:
    """One finished command."""

    returncode: int
    stdout: str
    stderr: str


class Run(Protocol):
    def __call__(self, catalogue: Path, cache: WeightsSettings, *arguments: str, **variables: str) -> Done: ...


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs one command in this process; what it says is kept."""

    def run(catalogue: Path, cache: WeightsSettings, *arguments: str, **variables: str) -> Done:
        status = main(
            ["--config", str(catalogue), *arguments], {"FATHOM_WEIGHTS_DIR": str(cache.folder), **variables}
        )
        said = capsys.readouterr()
        return Done(status, said.out, said.err)

    return run


def test_from_a_mirror_to_a_ship(
    run: Run, catalogue: Path, cache: WeightsSettings, server: FileServer, content: bytes, tmp_path: Path
) -> None:
    server.files[f"/{KEY}"] = content
    done = run(catalogue, cache, "fetch", "--all", FATHOM_WEIGHTS_MIRROR=server.url)
    assert done.returncode == 1
    assert f"known: {cache.folder / KEY}" in done.stdout
    assert "absent: FAILED: x.pt could not be fetched: 127.0.0.1 answered 404" in done.stdout

    disk = tmp_path / "disk"
    done = run(catalogue, cache, "export", str(disk))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "absent: not in the cache, left out" in done.stdout
    on_board = WeightsSettings(dir=disk)
    assert (disk / KEY).read_bytes() == content
    done = run(catalogue, on_board, "fetch", "known", FATHOM_WEIGHTS_OFFLINE="1")
    assert (done.returncode, done.stdout) == (0, f"known: {disk / KEY}\n")
    # The disk is a mirror too: it gives the hash, and does not vouch for more than it knows.
    server.files = {f"/{path.relative_to(disk)}": path.read_bytes() for path in disk.rglob("*") if path.is_file()}
    third = WeightsSettings(dir=tmp_path / "third")
    assert run(catalogue, third, "fetch", "known", FATHOM_WEIGHTS_MIRROR=server.url).returncode == 0
    assert "(as seen at the first fetch; nobody vouches for it)" in run(catalogue, third, "list").stdout
    server.files[f"/{KEY}"] = content[:-1] + b"!"
    (third.folder / KEY).unlink()
    done = run(catalogue, third, "fetch", "known", FATHOM_WEIGHTS_MIRROR=server.url)
    assert "published sha256" in done.stdout


def test_a_folder_travels_as_its_files(
    run: Run, cache: WeightsSettings, server: FileServer, content: bytes, tmp_path: Path
) -> None:
    catalogue = tmp_path / "vit.yaml"
    catalogue.write_text(yaml.safe_dump(model("vit", family="huggingface", weights="hf://MBARI-org/some-vit")))
    key = "hf/MBARI-org/some-vit/main"
    names = ["config.json", "model.safetensors", "preprocessor_config.json"]
    server.files = {f"/{key}/{name}": content for name in names}
    done = run(catalogue, cache, "fetch", "vit", FATHOM_WEIGHTS_MIRROR=server.url)
    assert (done.returncode, done.stdout) == (0, f"vit: {cache.folder / key}\n")
    assert "state    in the cache, 3.1 MB, sha256 " in run(catalogue, cache, "list").stdout

    disk = tmp_path / "disk"
    assert run(catalogue, cache, "export", str(disk)).stdout == f"vit: {disk / key}\n"
    copied = sorted(path.name for path in (disk / key).iterdir())
    assert copied == sorted(names + [f"{name}.record.json" for name in names])
    on_board = WeightsSettings(dir=disk)
    assert run(catalogue, on_board, "verify").stdout == "vit: good\n"
    (disk / key / names[1]).unlink()
    done = run(catalogue, on_board, "verify")
    assert (done.returncode, done.stdout) == (1, "vit: incomplete: model.safetensors is not there\n")


def test_list_tells_what_is_there_and_what_is_not_known(run: Run, catalogue: Path, cache: WeightsSettings) -> None:
    listed = run(catalogue, cache, "list").stdout
    known, absent, elsewhere = (listed.index(f"\n{name}\n") for name in ("known", "absent", "elsewhere"))
    assert "state    not there" in listed[known:absent]
    assert "labels   unknown until loaded" in listed[known:absent]
    assert "licence  MIT" in listed[known:absent]
    assert "family   " in listed[known:absent]
    assert "input as large as in training" in listed[known:absent]
    assert "incomplete: class names" in listed[known:absent]
    assert "labels   2" in listed[absent:elsewhere]
    assert "incomplete: not hosted: its file is not known" in listed[elsewhere:]
    assert "\nown\n" not in listed


def test_verify_finds_a_damaged_and_a_partial_file(
    run: Run, catalogue: Path, cache: WeightsSettings, content: bytes
) -> None:
    file = cache.folder / KEY
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert "known: good" in run(catalogue, cache, "verify").stdout
    file.write_bytes(content[:-1] + b"!")
    done = run(catalogue, cache, "verify", "known")
    assert done.returncode == 1
    assert "known: damaged: its sha256 is" in done.stdout
    done = run(catalogue, cache, "export", str(cache.folder.parent / "disk"), "known")
    assert (done.returncode, "known: FAILED: damaged" in done.stdout) == (1, True)
    file.rename(file.with_name("best.pt.part"))
    done = run(catalogue, cache, "verify", "known")
    assert (done.returncode, done.stdout) == (1, "known: fetched in part: 1.0 MB\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["fetch", "nobody"], "no model nobody; known: absent, known"),
        (["fetch"], "give names, or --all"),
        (["verify", "elsewhere"], "no model elsewhere"),
    ],
)
def test_what_makes_no_sense_is_refused(
    run: Run, catalogue: Path, cache: WeightsSettings, arguments: list[str], text: str
) -> None:
    done = run(catalogue, cache, *arguments)
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_variable_is_told_without_a_traceback(run: Run, catalogue: Path, cache: WeightsSettings) -> None:
    done = run(catalogue, cache, "list", FATHOM_WEIGHTS_OFFLINE="perhaps")
    assert done.returncode == 2
    assert done.stderr.startswith("FATHOM_WEIGHTS_OFFLINE: ")


def test_the_module_is_a_command(catalogue: Path, cache: WeightsSettings) -> None:
    command = [sys.executable, "-m", "deployments.weights", "--config", str(catalogue), "list"]
    environ = {**os.environ, "FATHOM_WEIGHTS_DIR": str(cache.folder)}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.partition("\n")[0]) == (0, f"cache: {cache.folder}")


def test_the_cache_is_not_exported_onto_itself(run: Run, catalogue: Path, cache: WeightsSettings) -> None:
    done = run(catalogue, cache, "export", str(cache.folder))
    assert (done.returncode, "is the cache itself" in done.stdout) == (1, True)


@pytest.mark.parametrize(
    "text",
    [
        "[1]",
        "a: [",
        "applications: 3",
        "x-incomplete: {a: 1}",
        "applications: [{import_path: deployments.app:build, args: {x: 1}}]",
    ],
)
def test_a_file_that_is_no_catalogue_is_refused_in_words(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(CatalogueError, match=r"bad\.yaml: "):
        read_catalogue([path])


def test_a_list_of_which_only_the_beginning_is_read_says_nothing_more() -> None:
    command = [sys.executable, "-m", "deployments.weights", "list"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.close()
        assert running.stderr is not None
        said = running.stderr.read()
    assert (running.returncode, said) == (1, b"")
