"""Changes the running system through a process of the launcher, of which the door imports nothing.

What a block may hold, how it is checked and how it is submitted is the launcher's matter, as for the commands
`make add` and `make remove` (`serve_app.launcher.door_change`).
"""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from deployments.errors import DeadlineExceeded, InternalError, Overloaded
from deployments.logs import OWN_LOGGER
from serve_app.faces.admin.changes import Changed

logger = logging.getLogger(OWN_LOGGER)

PROGRAM = (sys.executable, "-m", "serve_app.launcher.door_change")
TIMEOUT_S = 22.0
"""Of one change. A process of Python with all of Ray's schemas takes some seconds to start."""

_SHOWN_CHARACTERS = 2000


@dataclass(slots=True)
class ChangeProgram:
    """environ: of the processes, beside that of this one."""

    environ: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = PROGRAM
    timeout_s: float = TIMEOUT_S
    _under_way: bool = False

    async def change(self, wanted: Mapping[str, Any]) -> Changed:
        """What became of a change. Raises Overloaded while this door makes another one, and DeadlineExceeded."""
        if self._under_way:
            raise Overloaded("another change of the models is under way; one is made at a time")
        self._under_way = True
        try:
            return await asyncio.to_thread(self._run, json.dumps(wanted))
        finally:
            self._under_way = False

    def _run(self, wanted: str) -> Changed:
        try:
            done = subprocess.run(
                self.program,
                input=wanted,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=self.timeout_s,
                env={**os.environ, **self.environ},
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DeadlineExceeded(
                f"the change was not made within {self.timeout_s:g} s, or nobody was told that it was: "
                "GET /v1/models says which"
            ) from None
        if done.stderr:
            logger.warning("a change of the models: %s", done.stderr[-_SHOWN_CHARACTERS:].strip())
        try:
            said = json.loads(done.stdout)
            return Changed(
                HTTPStatus(said["status"]),
                said.get("model", ""),
                tuple(said.get("problems", ())),
                tuple(said.get("notes", ())),
            )
        except (ValueError, KeyError):
            logger.error("the program that changes the models ended with status %d", done.returncode)
            raise InternalError("the models could not be changed; the log of the door says why") from None
