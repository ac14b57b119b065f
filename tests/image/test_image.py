"""The Dockerfile is built, and its image does what it is for: `make test-image`, or `pytest -m image`.

Not shown by this stand-in: the slim image of Docker Hub as the base and its Python 3.12, the GPU image, an engine's
own networks, volumes and limits, and the health check's schedule.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.image.builder import ROOT, Builder, reason_not_to_run
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.image, pytest.mark.timeout(1800)]

ENTER = Path(__file__).parent / "enter.sh"
SAMPLE = ROOT / "deployments/families/demo/samples/seafloor-1.png"
DOOR = "http://127.0.0.1:8082"
PATIENCE = [
    "RAY_raylet_start_wait_time_s=180",
    "RAY_agent_register_timeout_ms=180000",
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S=180",
]
"""Ray gives its parts 15 to 60 s to start, which a machine that builds other things beside may not meet."""


@dataclass
class Container:
    """The image at work in namespaces of its own."""

    process: subprocess.Popen[bytes]
    image: dict[str, Any]
    log: Path

    @property
    def first(self) -> psutil.Process:
        """Process 1 of the container."""
        [first] = psutil.Process(self.process.pid).children()
        return first

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command as `docker exec` does: same namespaces, files, user and environment."""
        where = ["nsenter", f"--target={self.first.pid}", "--mount", "--net", "--pid", "--ipc", "--root", "--wd"]
        user = [f"--setuid={self.image['User']}", f"--setgid={self.image['User']}"]
        environ = ["/usr/bin/env", "-i", *self.image["Env"]]
        return subprocess.run([*where, *user, *environ, *command], capture_output=True, text=True, timeout=60)

    def curl(self, *arguments: str) -> list[str]:
        """The command line of a curl beside the container, in its network."""
        where = ["nsenter", f"--target={self.first.pid}", "--net"]
        return [*where, "curl", "--silent", "--show-error", "--max-time", "120", *arguments]


@pytest.fixture(scope="module")
def builder() -> Iterator[Builder]:
    """With the image built. IMAGE_TEST_FOLDER keeps base and image for the next run, else they are removed."""
    if reason := reason_not_to_run():
        if os.environ.get("CI"):
            pytest.fail(f"the image cannot be built: {reason}")
        pytest.skip(f"the image cannot be built: {reason}")
    kept = os.environ.get("IMAGE_TEST_FOLDER")
    # Gigabytes: not in /tmp, which may be in memory.
    folder = Path(kept or tempfile.mkdtemp(prefix="fathom-image-", dir="/var/tmp"))
    built = Builder(folder)
    try:
        built.make_base()
        built.make_image()
        yield built
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def root(builder: Builder) -> Iterator[Path]:
    """The image's files."""
    with builder.file_system() as root:
        yield root


@contextmanager
def started(image: dict[str, Any], root: Path, folder: Path) -> Iterator[Container]:
    """A container with an empty volume, as the image's own configuration starts it."""
    data, log = folder / "data", folder / "log"
    data.mkdir()
    os.chown(data, int(image["User"]), int(image["User"]))
    namespaces = ["unshare", "--mount", "--pid", "--net", "--ipc", "--fork"]
    how = [str(ENTER), str(root), str(data), image["User"], image["WorkingDir"], *image["Env"], *PATIENCE]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*namespaces, *how, *image["Entrypoint"], *image["Cmd"]], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Container(process, image, log)
    finally:
        # With its first process a namespace loses all. (`--kill-child` is forgotten when that changes its user.)
        if process.poll() is None:
            for first in psutil.Process(process.pid).children():
                first.kill()
        process.kill()
        process.wait()


def test_the_image_says_how_to_run_and_to_stop_it(builder: Builder) -> None:
    image = builder.configuration()
    assert image["User"] == "10001"
    assert image["StopSignal"] == "SIGINT"
    assert list(image["Volumes"]) == ["/data"]
    assert list(image["ExposedPorts"]) == ["8082/tcp"]
    assert image["Healthcheck"]["Test"][0] == "CMD"


def test_what_the_build_was_told_in_secret_is_in_no_layer(builder: Builder, root: Path) -> None:
    assert not (root / "etc/pip.conf").exists()
    assert "cache-dir" not in builder.history()
    kept = [path for path in (root / "root").rglob("*") if path.is_file() and path.name == "pip.conf"]
    assert kept == []


def test_a_detection_is_made_and_sigint_drains(builder: Builder, root: Path, tmp_path: Path) -> None:
    image = builder.configuration()
    with started(image, root, tmp_path) as container:

        def is_up() -> bool:
            assert container.process.poll() is None, container.log.read_text()
            return "Ctrl-C stops the system" in container.log.read_text()

        wait_for(is_up, 240, "the banner")
        checked = container.inside(*image["Healthcheck"]["Test"][1:])
        assert checked.returncode == 0, checked.stderr
        refused = container.inside("touch", "/app/new")
        assert "Read-only file system" in refused.stderr
        assert set(container.first.uids()) == {10001}

        upload = ["-F", f"file=@{SAMPLE};type=image/png", f"{DOOR}/predictor/"]
        answer = json.loads(subprocess.run(container.curl(*upload), capture_output=True, check=True).stdout)
        assert answer["success"] is True
        assert {"Fish"} <= {row["category_id"] for row in answer["predictions"]}

        everything = [container.first, *container.first.children(recursive=True)]
        slow = container.curl("-v", "--limit-rate", "100K", *upload)
        talk = tmp_path / "curl"
        with talk.open("wb") as output:
            in_flight = subprocess.Popen(slow, stdout=subprocess.PIPE, stderr=output)
        wait_for(lambda: "> POST" in talk.read_text(), 30, "the head of a request")
        container.first.send_signal(signal.SIGINT)
        answered, _ = in_flight.communicate(timeout=120)
        assert json.loads(answered)["predictions"] == answer["predictions"]
        assert container.process.wait(90) == 0, container.log.read_text()
        assert [process for process in everything if process.is_running()] == []
    assert "Traceback" not in container.log.read_text()
