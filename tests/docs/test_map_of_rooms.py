"""The map in docs/architecture.md says of each room everything that its code imports of ours.

The contracts in pyproject.toml are the law; this keeps the page from being narrower than the code.
"""

import functools
import re
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("deployments", "serve_app", "redis_bridge")
ROW = re.compile(r"^\| `(?P<room>[\w/]+)/` \| [^|]* \| (?P<may>[^|]*) \|$", re.MULTILINE)
TOP_OF_CORE = "the top of the core"
NOTHING = "nothing of ours"


@functools.cache
def rows() -> dict[str, str]:
    """Room -> what the page says that it may import."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    found = {match["room"]: match["may"] for match in ROW.finditer(page)}
    return {room: may for room, may in found.items() if room.split("/")[0] in PACKAGES}


@functools.cache
def imports() -> dict[str, set[str]]:
    """Room -> the modules that its modules import, as paths; not those of its own."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    found: dict[str, set[str]] = {room: set() for room in rows()}
    for module in graph.modules:
        room = room_of(path_of(module))
        imported = {path_of(one) for one in graph.find_modules_directly_imported_by(module)}
        found[room] |= {path for path in imported if room_of(path) != room}
    return found


def path_of(module: str) -> str:
    path = module.replace(".", "/")
    return path if (ROOT / path).is_dir() else f"{path}.py"


def room_of(path: str) -> str:
    """The row of the page that speaks of this module: that of the innermost folder which has one."""
    return max((room for room in rows() if f"{path}/".startswith(f"{room}/")), key=len)


def is_named(path: str, room: str, text: str) -> bool:
    """Whether `text`, of the row of `room`, names this module, its room or a group that it belongs to."""
    package, folder = room.split("/")[0], room_of(path)
    if folder == "deployments" and re.search(rf"the core\b|{TOP_OF_CORE}", text):
        return True
    if (
        folder.startswith("deployments/")
        and re.search(r"(?<!top of )the core(?!')", text)
        and package != "deployments"
    ):
        return True
    names = {path, path.removeprefix(f"{package}/").removesuffix(".py"), f"{folder}/", f"{Path(folder).name}/"}
    return bool(names & set(re.findall(r"`([^`]+)`", text)))


@pytest.mark.parametrize("room", sorted(rows()))
def test_the_map_names_whatever_a_room_imports(room: str) -> None:
    may, _, never = rows()[room].partition("; never")
    assert sorted(path for path in imports()[room] if not is_named(path, room, may)) == []
    assert sorted(path for path in imports()[room] if is_named(path, room, never)) == []


@pytest.mark.parametrize("room", sorted(rows()))
def test_a_room_that_may_import_something_names_it(room: str) -> None:
    may = rows()[room]
    assert (NOTHING in may) == (not imports()[room])


def test_the_map_has_every_room_that_is_deep_enough_to_be_one() -> None:
    shallow = {path.parent for package in PACKAGES for path in (ROOT / package).glob("*/__init__.py")}
    assert sorted(str(path.relative_to(ROOT)) for path in shallow - {ROOT / room for room in rows()}) == []
