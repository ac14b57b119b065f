"""The overlays as the real kustomize builds them, where there is one."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from k8s.generate import OVERLAYS
from tests.k8s.overlays import Manifest, build

K8S = Path(__file__).parents[2] / "k8s"
KUSTOMIZE = next(
    (
        command
        for name, command in {"kustomize": ["kustomize", "build"], "kubectl": ["kubectl", "kustomize"]}.items()
        if shutil.which(name)
    ),
    None,
)


def in_order(manifests: list[Manifest]) -> list[str]:
    return sorted(json.dumps(one, sort_keys=True) for one in manifests)


@pytest.mark.skipif(KUSTOMIZE is None, reason="neither kustomize nor kubectl is installed")
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_builds_what_the_other_tests_look_at(overlay: str) -> None:
    folder = K8S / "overlays" / overlay
    done = subprocess.run([*KUSTOMIZE, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert in_order(list(yaml.safe_load_all(done.stdout))) == in_order(build(folder))


def test_an_overlay_may_take_the_component(tmp_path: Path) -> None:
    overlay = {"resources": [str(K8S / "overlays/cpu")], "components": [str(K8S / "components/monitoring")]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    assert "PodMonitor" in {one["kind"] for one in build(tmp_path)}
