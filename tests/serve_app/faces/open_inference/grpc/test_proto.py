"""The Python modules beside the protocol's file are made of it."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[5]
PLACE = ROOT / "serve_app/faces/open_inference/grpc"
MADE = ("open_inference_pb2.py", "open_inference_pb2.pyi")


def test_they_are_current(tmp_path: Path) -> None:
    command = ["make", "--no-print-directory", "-o", ".venv/.installed-test", "proto", f"PROTO_INTO={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    for name in MADE:
        assert (tmp_path / name).read_text() == (PLACE / name).read_text(), f"{name} is old: run `make proto`"
