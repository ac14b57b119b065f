"""`make key`: a key is shown once, and its file has the digest."""

import stat
from pathlib import Path

import pytest

from serve_app.access.__main__ import main
from serve_app.access.key_ring import read_keys
from serve_app.access.keys import Scope, digest_of


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "keys.toml"
    monkeypatch.setenv("FATHOM_API_KEYS_FILE", str(path))
    return path


def test_a_key_is_shown_once_and_counts(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dive-7", "--scopes", "predict"]) == 0
    first = capsys.readouterr().out.strip()
    assert main(["ops", "--scopes", "admin,metrics", "--expires", "2999-01-31", "--requests-per-s", "5"]) == 0
    second = capsys.readouterr().out.strip()
    keys = read_keys(file).by_digest
    assert keys[digest_of(first)].scopes == {Scope.PREDICT}
    assert (keys[digest_of(second)].name, keys[digest_of(second)].requests_per_s) == ("ops", 5)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert first not in file.read_text()
    assert first.startswith("fathom_")
    assert len(first) >= 50


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a b", "--scopes", "predict"], "name:"),
        (["b", "--scopes", "predictions"], "scopes:"),
        (["taken", "--scopes", "predict"], "there is another one named taken"),
        (["b", "--scopes", "predict", "--expires", "tomorrow"], "--expires"),
        (["b", "--scopes", "predict", "--expires", "2020-01-31"], "2020-01-31 is over"),
        (["b", "--scopes", "predict", "--expires", "2020-01-31T12:00:00Z"], "is over"),
        (["b", "--scopes", "predict", "--burst", "2"], "burst"),
        (["b", "--scopes", "predict", "--requests-per-s", "-1"], "requests_per_s:"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_changes(
    file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["taken", "--scopes", "predict"]) == 0
    before = file.read_bytes()
    capsys.readouterr()
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert told.out == ""
    assert file.read_bytes() == before


def test_a_path_that_no_door_would_find_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FATHOM_API_KEYS_FILE", "keys.toml")
    assert main(["a", "--scopes", "predict"]) == 2
    assert "FATHOM_API_KEYS_FILE must be an absolute path" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_broken_or_not_ours_alone_is_not_added_to(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("nonsense")
    assert main(["a", "--scopes", "predict"]) == 2
    file.write_text("# written by hand, without a line break at the end")
    file.chmod(0o666)
    assert main(["a", "--scopes", "predict"]) == 2
    file.chmod(0o600)
    assert main(["a", "--scopes", "predict"]) == 0
    assert read_keys(file).names == {"a"}


def test_without_a_file_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FATHOM_API_KEYS_FILE", raising=False)
    assert main(["a", "--scopes", "predict"]) == 2
    assert "FATHOM_API_KEYS_FILE" in capsys.readouterr().err


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["a", "--scopes", "predict", "--file", str(tmp_path / "gone" / "keys.toml")]) == 2
    assert f"the folder {tmp_path / 'gone'} does not exist" in capsys.readouterr().err
