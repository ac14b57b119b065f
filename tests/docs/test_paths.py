"""Every path and every module that the documents name exists."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in ROOT.glob("docs/*.md"))]
PACKAGES = ("deployments", "serve_app", "redis_bridge", "loadtests", "benchmarks", "training")
FOLDERS = "|".join([*PACKAGES, "configs", "docs", "requirements", "tests"])
PATH = re.compile(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*[\w/]")
SHORT_PATH = re.compile(r"`(\w+/)`")
MODULE = re.compile(rf"(?<![\w./-])(?:{'|'.join(PACKAGES)})(?:\.\w+)+")
FILES = (".py", ".md", ".yaml", ".toml", ".txt")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def is_there(name: str) -> bool:
    """Whether this is a module, or a name in one."""
    path = ROOT / name.replace(".", "/")
    if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
        return True
    module, _, attribute = name.rpartition(".")
    return "." in module and is_there(module) and hasattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists(page: str) -> None:
    named = set(PATH.findall(text_of(page)))
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_paths_are_found_where_they_are_many() -> None:
    assert len(set(PATH.findall(text_of("docs/architecture.md")))) > 50


def test_every_room_that_the_map_names_in_short_exists() -> None:
    folders = {path.name for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_dir()}
    named = {name.rstrip("/") for name in SHORT_PATH.findall(text_of("docs/architecture.md"))}
    assert sorted(name for name in named - folders if not (ROOT / name).is_dir()) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_module_exists(page: str) -> None:
    named = {name for name in MODULE.findall(text_of(page)) if not name.endswith(FILES)}
    assert sorted(name for name in named if not is_there(name)) == []
