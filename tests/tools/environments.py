"""Environments of the tools: a folder of packages for each, apart from ours, as their pins collide.

`tests/tools/NAME/requirements.in` says what a tool needs, `requirements.lock` each package with its version:

    uv pip compile --universal --python-version 3.11 --no-header tests/tools/NAME/requirements.in \
        -o tests/tools/NAME/requirements.lock
"""

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from filelock import FileLock

TOOLS = Path(__file__).parent
PLACE = Path(sys.prefix) / "tools"
INSTALL_S = 600
RUN_S = 120


def python_of(tool: str) -> Path:
    """The interpreter of the tool's environment, which is made when it is not there or its lock has changed."""
    PLACE.mkdir(exist_ok=True)
    folder = PLACE / tool
    # Two files of tests that run beside each other may use one tool.
    with FileLock(f"{folder}.lock"):
        _make(folder, TOOLS / tool / "requirements.lock")
    return _python(folder)


def _make(folder: Path, lock: Path) -> None:
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = folder / "installed"
    if stamp.exists() and stamp.read_text() == digest:
        return
    venv.create(folder, clear=True, with_pip=True)
    command = [_python(folder), "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", lock]
    installed = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    assert installed.returncode == 0, installed.stderr[-4000:]
    stamp.write_text(digest)


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def run_in(tool: str, script: Path, *args: str, **environ: str) -> Any:
    """What a script, run in the tool's environment, prints as its last line, in JSON."""
    command = [str(python_of(tool)), str(script), *args]
    told = {**os.environ, "NO_PROXY": "*", **environ}
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False, env=told)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return json.loads(done.stdout.splitlines()[-1])
