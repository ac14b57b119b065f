"""The door's way to the launcher's program: a real process for each change, one at a time, and ended in time."""

import asyncio
import os
import sys
from http import HTTPStatus
from pathlib import Path

import pytest

from deployments.errors import DeadlineExceeded, InternalError, Overloaded
from serve_app.change_program import ChangeProgram


def program(folder: Path, text: str, **settings: float) -> ChangeProgram:
    file = folder / "program.py"
    file.write_text(f"import json, os, sys\nwanted = json.load(sys.stdin)\n{text}\n")
    return ChangeProgram({"OF_THE_DOOR": "ü"}, (sys.executable, str(file)), **settings)


async def test_it_gets_the_change_and_says_what_became_of_it(tmp_path: Path) -> None:
    said = "{'status': 202, 'model': wanted['remove'], 'notes': [os.environ['OF_THE_DOOR']]}"
    changed = await program(tmp_path, f"print(json.dumps({said}))").change({"remove": "näme"})
    assert (changed.status, changed.model, changed.notes) == (HTTPStatus.ACCEPTED, "näme", ("ü",))


async def test_a_refusal_keeps_its_lines(tmp_path: Path) -> None:
    changed = await program(tmp_path, 'print(\'{"status": 409, "problems": ["a", "b"]}\')').change({})
    assert (changed.status, changed.problems) == (HTTPStatus.CONFLICT, ("a", "b"))


@pytest.mark.parametrize("text", ["raise ValueError('secret')", "print('nonsense')", "print('{\"status\": 1}')"])
async def test_a_program_that_fails_is_a_fault_of_ours_without_details(tmp_path: Path, text: str) -> None:
    with pytest.raises(InternalError) as caught:
        await program(tmp_path, text).change({})
    assert "secret" not in caught.value.message


async def test_one_that_hangs_is_ended_and_the_next_may_begin(tmp_path: Path) -> None:
    hanging = program(tmp_path, "import threading; threading.Event().wait()", timeout_s=0.5)
    with pytest.raises(DeadlineExceeded, match=r"not made within 0\.5 s"):
        await hanging.change({})
    with pytest.raises(DeadlineExceeded):
        await hanging.change({})


async def test_two_at_once_are_one_too_many(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    waiting = program(tmp_path, f"open({str(gate)!r}).read(); print('{{\"status\": 202}}')")
    first = asyncio.create_task(waiting.change({}))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await waiting.change({})
    await asyncio.to_thread(gate.write_text, "go")
    assert (await first).status == HTTPStatus.ACCEPTED
