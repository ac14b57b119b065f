"""The client is a distribution of its own: light, without the server, and the server is without it."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "client"
SERVER = ("deployments", "serve_app", "redis_bridge")
PROGRAMS = ("loadtests", "benchmarks", "training", "k8s")
PROJECT = tomllib.loads((CLIENT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LIGHT = {"httpx", "rich"}
USERS_OWN = {"numpy", "PIL", "typing_extensions"}
"""Imported for types, or where a program has handed over what is of them."""
OF_A_TOOL = {"cvat.py": {"cvat_sdk"}, "squidle.py": {"requests", "sqapi"}, "tator.py": {"requests", "tator", "yaml"}}
"""File of `fathom_client.tools` -> what its extra installs. Nothing else imports it."""


def imported_by(folder: Path) -> Iterator[tuple[str, str]]:
    """File and the top of the name of every module that it imports, wherever in it."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((str(file), alias.name.partition(".")[0]) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: relative"
                yield str(file), (node.module or "").partition(".")[0]


def test_the_client_imports_the_standard_library_and_what_it_declares() -> None:
    declared = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert declared == LIGHT
    allowed = set(sys.stdlib_module_names) | declared | USERS_OWN | {"fathom_client"}
    foreign = {(file, name) for file, name in imported_by(CLIENT) if name not in allowed}
    tools = CLIENT / "fathom_client" / "tools"
    assert foreign == {(str(tools / file), name) for file, names in OF_A_TOOL.items() for name in names}


@pytest.mark.parametrize("package", SERVER + PROGRAMS)
def test_nothing_of_the_server_imports_the_client(package: str) -> None:
    found = list(imported_by(ROOT / package))
    assert found
    assert [file for file, name in found if name == "fathom_client"] == []


def test_importing_the_client_loads_neither_the_server_nor_anything_heavy() -> None:
    told = "import sys, fathom_client.command.main; print(*{name.partition('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", told]
    loaded = subprocess.run(command, env={"PYTHONPATH": str(CLIENT)}, capture_output=True, text=True, check=True)
    heavy = {*SERVER, *PROGRAMS, "ray", "tensorflow", "keras", "numpy", "PIL", "redis", "fastapi", "pydantic"}
    assert set(loaded.stdout.split()) & heavy == set()


def test_what_the_client_needs_is_in_the_lock_of_the_tests() -> None:
    lock = (ROOT / "requirements" / "test.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([a-z0-9-]+)==([\w.]+)", lock, re.M))
    needed = [Requirement(line) for lines in (PROJECT["dependencies"], PROJECT["optional-dependencies"]["images"])
              for line in lines]  # fmt: skip
    assert [str(one) for one in needed if not one.specifier.contains(locked.get(one.name, "0"))] == []


def test_the_command_is_installed_with_the_tests() -> None:
    [command] = entry_points(group="console_scripts", name="fathom") or [None]
    if command is None:
        pytest.fail("`make test` installs client/ into its environment; here it was not")
    assert command.value == PROJECT["scripts"]["fathom"]


def test_a_wheel_has_the_package_its_types_and_its_command(tmp_path: Path) -> None:
    source = tmp_path / "client"
    for file in [*CLIENT.glob("*.*"), *CLIENT.glob("fathom_client/**/*.*")]:
        if file.is_file() and "egg-info" not in str(file) and file.suffix != ".pyc":
            copy = source / file.relative_to(CLIENT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=source, check=True, capture_output=True)
    [wheel] = tmp_path.glob("fathom_client-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    expected = {str(file.relative_to(CLIENT)) for file in CLIENT.glob("fathom_client/**/*.py")}
    assert {name for name in names if ".dist-info/" not in name} == {*expected, "fathom_client/py.typed"}
    assert "Requires-Python: >=3.10" in metadata
