"""`make inspect`: what it prints is a file for `make add`."""

import subprocess
import sys
from pathlib import Path

import yaml

from serve_app.launcher.configuration.validation import load_model_block

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/deployments/families/golden"


def inspect(path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "serve_app.launch", "inspect", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_what_is_printed_is_a_block_with_what_a_person_wants_to_know_above(tmp_path: Path) -> None:
    done = inspect(GOLDEN / "yolo26-unstripped.pt")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:2] == [
        "# yolo26-unstripped.pt: family ultralytics, answers boxes, input 192 x 192 px",
        "# 4 classes: coral, crinoid, sponge, fish",
    ]
    written = tmp_path / "mine.yaml"
    written.write_text(done.stdout)
    assert load_model_block(written) == yaml.safe_load(done.stdout)


def test_a_file_that_nobody_serves_is_told_on_standard_error_alone(tmp_path: Path) -> None:
    pointer = tmp_path / "best.pt"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\n")
    done = inspect(pointer)
    assert (done.returncode, done.stdout) == (1, "")
    assert "best.pt: not a PyTorch checkpoint: it is a pointer of Git LFS" in done.stderr
    assert "Traceback" not in done.stderr
