"""One headless Locust run in a process of its own, since Locust patches the process that imports it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RUN_S = 1
DEADLINE_S = 60


@dataclass(frozen=True)
class LoadRun:
    """What a run left behind. rows: Locust's statistics, one for each kind of request."""

    exit_code: int
    rows: list[dict[str, Any]]
    log: str

    @property
    def asked(self) -> int:
        return sum(row["num_requests"] for row in self.rows)

    @property
    def failed(self) -> int:
        return sum(row["num_failures"] for row in self.rows)


def run_users(script: str, host: str, **options: str) -> LoadRun:
    """Two users of loadtests/`script` for a second against `host`. options: LOADTEST_* without prefix."""
    command = [sys.executable, "-m", "locust", "-f", f"loadtests/{script}", "--host", host, "--headless", "--json"]
    command += ["--users", "2", "--spawn-rate", "10", "--run-time", f"{RUN_S}s", "--stop-timeout", "5"]
    variables = {f"LOADTEST_{name.upper()}": value for name, value in options.items()}
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, timeout=DEADLINE_S
    )
    rows = json.loads(done.stdout) if done.stdout.strip() else []
    return LoadRun(done.returncode, rows, done.stderr)
