"""Tests lie in the rooms that the product has, and what they share lies in no test file."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
MIRRORED = ("benchmarks", "deployments", "loadtests", "redis_bridge", "serve_app", "training")
GOLDEN = TESTS / "deployments" / "families" / "golden"  # data, and the scripts that made it


def folders_of_tests(package: str) -> list[Path]:
    return sorted({path.parent for path in (TESTS / package).rglob("*.py")} - {GOLDEN})


@pytest.mark.parametrize("package", MIRRORED)
def test_every_folder_of_tests_is_a_room_of_the_product(package: str) -> None:
    rooms = [folder.relative_to(TESTS) for folder in folders_of_tests(package)]
    assert rooms
    assert [str(room) for room in rooms if not (ROOT / room / "__init__.py").is_file()] == []


@pytest.mark.parametrize("package", MIRRORED)
def test_every_file_of_tests_says_what_it_proves(package: str) -> None:
    files = [path for folder in folders_of_tests(package) for path in sorted(folder.glob("*.py"))]
    assert [str(path.relative_to(ROOT)) for path in files if not ast.get_docstring(ast.parse(path.read_text()))] == []
