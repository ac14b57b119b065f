"""The script for SLURM, on an allocation of one node that two small programs play: `srun` runs its command here,
`scontrol` names it."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import yaml

from serve_app.launcher.processes.ports import free_ports
from tests.support.waiting import wait_for
from tests.system.launched import document, model

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "hpc/serve.sbatch"
# Options with a value are written with `=`, except for none: the first word without a dash begins the command.
SRUN = """#!/usr/bin/env bash
while [[ ${1:-} == -* ]]; do shift; done
exec "$@"
"""


@pytest.fixture
def allocation(tmp_path: Path) -> dict[str, str]:
    """The environment of a job on one node, which is this machine."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, text in {"srun": SRUN, "scontrol": "#!/bin/sh\necho 127.0.0.1\n"}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(stat.S_IRWXU)
    job = {"SLURM_JOB_ID": str(os.getpid()), "SLURM_JOB_NODELIST": "node[1]", "SLURM_JOB_NUM_NODES": "1"}
    ports = dict(zip(("RAY_PORT", "FATHOM_DASHBOARD_PORT"), map(str, free_ports(2)), strict=True))
    path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    # A setting of the tests would be refused as an unknown one of the system.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FATHOM_")}
    return {
        **inherited,
        **job,
        **ports,
        "SLURM_CPUS_PER_TASK": "2",
        "PATH": path,
        "FATHOM_DATA_DIR": f"{tmp_path}/data",
    }


@pytest.fixture
def config(tmp_path: Path) -> tuple[Path, int]:
    [port] = free_ports(1)
    path = tmp_path / "system.yaml"
    path.write_text(yaml.safe_dump(document(port, model("first"))))
    return path, port


def test_more_than_one_node_needs_a_redis_of_its_own(allocation: dict[str, str]) -> None:
    environ = {**allocation, "SLURM_JOB_NUM_NODES": "2"}
    environ.pop("REDIS_URL", None)
    done = subprocess.run([SCRIPT], cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.returncode == 2
    assert "REDIS_URL is not set" in done.stderr


def test_a_ray_that_does_not_start_is_no_success(allocation: dict[str, str]) -> None:
    srun = Path(allocation["PATH"].split(":")[0]) / "srun"
    srun.write_text("#!/bin/sh\nexit 0\n")  # as `ray symmetric-run` ends then
    done = subprocess.run([SCRIPT], cwd=ROOT, env=allocation, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Ray did not come up" in done.stderr


@pytest.mark.cluster
@pytest.mark.alone  # its script wants a machine without Ray
@pytest.mark.timeout(480)
def test_the_system_runs_on_the_allocation_and_drains_before_its_time_is_over(
    allocation: dict[str, str], config: tuple[Path, int], tmp_path: Path
) -> None:
    path, port = config
    log = tmp_path / "log"
    with log.open("wb") as output:
        script = subprocess.Popen(
            [SCRIPT], cwd=ROOT, env={**allocation, "CONFIG": str(path)}, stdout=output, stderr=subprocess.STDOUT
        )
    try:

        def is_up() -> bool:
            assert script.poll() is None, log.read_text()
            return "Ctrl-C stops the system" in log.read_text()

        wait_for(is_up, 240, "the banner")
        sample = ROOT / "deployments/families/demo/samples/seafloor-1.png"
        with sample.open("rb") as file:
            answer = httpx.post(
                f"http://127.0.0.1:{port}/predictor/", files={"file": ("frame.png", file, "image/png")}
            )
        assert answer.status_code == 200, answer.text
        assert json.loads(answer.text)["model"] == "first"
        script.send_signal(signal.SIGUSR1)
        assert script.wait(170) == 0, log.read_text()
        assert "stopped" in log.read_text()
    finally:
        script.kill()
        script.wait()
