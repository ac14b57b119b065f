"""The manifests are what Kubernetes and KubeRay understand, current, and as locked as the image allows."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import kubernetes_validate
import pytest
import ray
import yaml
from ray.serve.schema import ServeDeploySchema

from k8s.generate import DRAIN_TIMEOUT_S, OVERLAYS, generated_files
from serve_app.launcher.configuration.validation import system_problems
from tests.k8s import crd
from tests.k8s.overlays import Manifest, build

ROOT = Path(__file__).parents[2]
K8S = ROOT / "k8s"
OLDEST_KUBERNETES, NEWEST_KUBERNETES = "1.27", "1.37"
CRDS = {
    "RayService": "ray.io_rayservices.crd.yaml.gz",
    "PodMonitor": "monitoring.coreos.com_podmonitors.crd.yaml.gz",
}

BUILT = {name: build(K8S / "overlays" / name) for name in OVERLAYS}
EVERYTHING = [one for manifests in BUILT.values() for one in manifests] + build(K8S / "components/monitoring")


def named(manifest: Manifest) -> str:
    return f"{manifest['kind']}-{manifest['metadata']['name']}"


def ray_service(overlay: str) -> Manifest:
    [found] = [one for one in BUILT[overlay] if one["kind"] == "RayService"]
    return found["spec"]


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Name and specification of every pod."""
    for manifest in manifests:
        if manifest["kind"] == "StatefulSet":
            yield named(manifest), manifest["spec"]["template"]["spec"]
        if manifest["kind"] == "RayService":
            cluster = manifest["spec"]["rayClusterConfig"]
            yield "head", cluster["headGroupSpec"]["template"]["spec"]
            yield from ((group["groupName"], group["template"]["spec"]) for group in cluster["workerGroupSpecs"])


PODS = [pytest.param(pod, id=f"{overlay}-{name}") for overlay, all_ in BUILT.items() for name, pod in pods(all_)]


def test_what_is_generated_is_current() -> None:
    stale = [name for name, text in generated_files().items() if (ROOT / name).read_text(encoding="utf-8") != text]
    assert stale == [], "run `make k8s`"


@pytest.mark.parametrize("version", [OLDEST_KUBERNETES, NEWEST_KUBERNETES])
@pytest.mark.parametrize("manifest", EVERYTHING, ids=named)
def test_kubernetes_understands_every_manifest(manifest: Manifest, version: str) -> None:
    if manifest["kind"] in CRDS:
        assert crd.problems(manifest, CRDS[manifest["kind"]]) == []
    else:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_misspelt_key_of_a_ray_service_is_found() -> None:
    [manifest] = [json.loads(json.dumps(one)) for one in BUILT["gpu"] if one["kind"] == "RayService"]
    manifest["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["minReplica"] = 1
    assert crd.problems(manifest, CRDS["RayService"]) != []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_serve_gets_a_system_that_ray_and_the_builders_accept(overlay: str) -> None:
    system = yaml.safe_load(ray_service(overlay)["serveConfigV2"])
    assert system_problems(system) == []
    assert ServeDeploySchema.model_validate(system).proxy_location == "EveryNode"
    assert "redis_bridge.embedded:build" not in {app["import_path"] for app in system["applications"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_model_wants_a_gpu_where_no_worker_has_one(overlay: str) -> None:
    spec = ray_service(overlay)
    models = [
        one for app in yaml.safe_load(spec["serveConfigV2"])["applications"] for one in app.get("deployments", [])
    ]
    wanted = {model["ray_actor_options"]["num_gpus"] > 0 for model in models}
    groups = {group["groupName"]: group for group in spec["rayClusterConfig"]["workerGroupSpecs"]}
    assert wanted == {"gpu" in groups}
    if "gpu" in groups:
        assert groups["gpu"]["minReplicas"] == 0


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_ray_and_the_port_of_the_door_are_those_of_the_image(overlay: str) -> None:
    spec = ray_service(overlay)
    assert spec["rayClusterConfig"]["rayVersion"] == ray.__version__
    port = yaml.safe_load(spec["serveConfigV2"])["http_options"]["port"]
    for name, pod in pods([one for one in BUILT[overlay] if one["kind"] == "RayService"]):
        ports = {one["name"]: one["containerPort"] for one in pod["containers"][0]["ports"]}
        assert ports["serve"] == port, name


@pytest.mark.parametrize("pod", PODS)
def test_every_container_is_locked_and_bounded(pod: Manifest) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= set(container["resources"]["limits"])
        assert {"livenessProbe", "readinessProbe", "startupProbe"} <= set(container)


def test_the_user_is_that_of_the_image() -> None:
    [uid] = re.findall(r"^USER (\d+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.M)
    users = {
        pod["securityContext"]["runAsUser"] for _, pod in pods([m for m in EVERYTHING if m["kind"] == "RayService"])
    }
    assert users == {int(uid)}


def test_the_probes_ask_what_this_ray_answers_without_a_token() -> None:
    from ray.dashboard.http_server_agent import PUBLIC_EXACT_PATHS

    probed = set(re.findall(r'"httpGet": \{"path": "([^"]+)"', json.dumps(EVERYTHING)))
    assert probed == {"/api/healthz", "/api/gcs_healthz", "/-/healthz"}
    assert "/api/healthz" in PUBLIC_EXACT_PATHS


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_worker_has_time_to_drain(overlay: str) -> None:
    for name, pod in pods([one for one in BUILT[overlay] if one["kind"] == "RayService"]):
        if name == "head":
            continue
        command = pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
        compile(command, name, "exec")
        [waits_s] = [int(digits) for digits in re.findall(r"timeout=(\d+)", command)]
        assert DRAIN_TIMEOUT_S < waits_s < pod["terminationGracePeriodSeconds"]


def test_every_secret_stays_outside_and_the_guide_says_how_to_make_it() -> None:
    assert [one for one in EVERYTHING if one["kind"] == "Secret"] == []
    text = json.dumps(EVERYTHING)
    named_in = re.findall(r'"secretKeyRef": \{"name": "([\w-]+)"', text) + re.findall(
        r'"secretName": "([\w-]+)"', text
    )
    guide = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    assert set(named_in) == {"fathomnet-valkey", "fathomnet-ray-token"}
    assert [name for name in sorted(set(named_in)) if f"create secret generic {name}" not in guide] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_label_port_and_claim_that_is_asked_for_is_there(overlay: str) -> None:
    manifests = BUILT[overlay]
    claims = {one["metadata"]["name"] for one in manifests if one["kind"] == "PersistentVolumeClaim"}
    maps = {one["metadata"]["name"] for one in manifests if one["kind"] == "ConfigMap"}
    services = {one["metadata"]["name"] for one in manifests if one["kind"] == "Service"}
    text = json.dumps(manifests)
    assert set(re.findall(r'"claimName": "([\w-]+)"', text)) == claims
    assert set(re.findall(r'"configMapRef": \{"name": "([\w-]+)"', text)) == maps
    assert {"valkey", "valkey-gcs"} == services == set(re.findall(r"[@\"](valkey[\w-]*):6379", text))
    for policy in (one for one in manifests if one["kind"] == "NetworkPolicy"):
        wanted = policy["spec"]["podSelector"].get("matchLabels", {})
        labels = [json.loads(found) for found in re.findall(r'"labels": (\{[^}]*\})', text)]
        assert any(wanted.items() <= one.items() for one in labels), policy["metadata"]["name"]
