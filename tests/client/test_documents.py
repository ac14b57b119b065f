"""What the documents show of the client runs, and they name all of it."""

import argparse
import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fathom_client
from fathom_client.command.arguments import parser
from fathom_client.command.joining import JOINED
from fathom_client.errors import BY_CODE
from tests.client.fake_server import FakeServer

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "client.md").read_text(encoding="utf-8")
NOTEBOOK = DOCS / "notebooks" / "predict.ipynb"


def test_the_notebook_runs_from_its_first_cell_to_its_last(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    monkeypatch.chdir(NOTEBOOK.parent)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells, 1):
        exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    assert "Fish 0.5 Box(" in capsys.readouterr().out
    assert names["counted"] == {"Fish": len(names["frames"])}
    assert names["frames"]
    assert json.loads(names["dataset"])["images"][0]["file_name"] == names["frames"][0].name


def test_the_notebook_is_kept_without_what_a_run_leaves_in_it() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 4)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_the_programs_of_the_page_run(
    server: FakeServer,
    frames: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    block: str,
) -> None:
    (frames.parent / "frame.jpg").write_bytes(b"50")
    monkeypatch.chdir(frames.parent)
    of_the_fake = block.replace("benthic-demo", "demo")
    exec(compile(of_the_fake, "client.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.strip() in ("Fish 0.5 1.0 2.0", "6")


def options_of(top: argparse.ArgumentParser) -> Iterator[str]:
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from options_of(command)
        yield from (name for name in action.option_strings if name.startswith("--"))


def test_the_page_names_every_option_error_method_and_format() -> None:
    text = PAGE.replace("```", "")
    named = {word for span in re.findall(r"`([^`]+)`", text) for word in re.split(r"[\s(,]+", span)}
    options = set(options_of(parser())) - {"--help", "--version"}
    assert sorted(options - named) == []
    errors = {name for name in fathom_client.__all__ if isinstance(getattr(fathom_client, name), type)
              and issubclass(getattr(fathom_client, name), Exception)}  # fmt: skip
    assert errors >= {kind.__name__ for kind in BY_CODE.values()}
    assert sorted(errors - named) == []
    methods = {name for name in dir(fathom_client.Client) if not name.startswith("_")} - {"close"}
    assert sorted(methods - named) == []
    assert sorted(set(JOINED) - named) == []


def test_both_clients_have_the_same_methods() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert public(fathom_client.Client) == public(fathom_client.AsyncClient)
    assert asyncio.iscoroutinefunction(fathom_client.AsyncClient.predict)
