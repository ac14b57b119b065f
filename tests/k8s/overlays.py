"""What kustomize makes of an overlay, as far as ours use it: resources, components, a namespace, JSON patches.

No kustomize comes as a package of PyPI; `test_overlays.py` compares this with the real one where there is one.
Whatever an overlay says that is not known here is refused.
"""

import copy
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]

CLUSTER_WIDE = {"Namespace"}


def build(folder: Path) -> list[Manifest]:
    """The manifests of the overlay, base or component in `folder`."""
    overlay = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
    known = {"apiVersion", "kind", "namespace", "resources", "components", "patches"}
    assert set(overlay) <= known, f"{folder}: {set(overlay) - known} is not known to this test"
    manifests: list[Manifest] = []
    for name in [*overlay.get("resources", []), *overlay.get("components", [])]:
        path = (folder / name).resolve()
        if path.is_dir():
            manifests += build(path)
        else:
            # A copy: anchors would let one patch change several places.
            manifests += [without_aliases(one) for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
    for manifest in manifests:
        if "namespace" in overlay and manifest["kind"] not in CLUSTER_WIDE:
            manifest["metadata"]["namespace"] = overlay["namespace"]
    for patch in overlay.get("patches", []):
        operations = yaml.safe_load((folder / patch["path"]).read_text(encoding="utf-8"))
        [target] = [one for one in manifests if is_target(one, patch["target"])]
        for operation in operations:
            apply(target, operation)
    return manifests


def without_aliases(value: Any) -> Any:
    """A copy in which no two places are the same object."""
    if isinstance(value, dict):
        return {key: without_aliases(one) for key, one in value.items()}
    return [without_aliases(one) for one in value] if isinstance(value, list) else value


def is_target(manifest: Manifest, target: Manifest) -> bool:
    return manifest["kind"] == target["kind"] and manifest["metadata"]["name"] == target["name"]


def apply(manifest: Manifest, operation: Manifest) -> None:
    """One operation of a JSON patch (RFC 6902), in place."""
    *way, last = [int(part) if part.isdigit() else part for part in operation["path"].split("/")[1:]]
    place: Any = manifest
    for part in way:
        place = place[part]
    if operation["op"] == "test":
        assert place[last] == operation["value"], operation
    elif operation["op"] == "remove":
        del place[last]
    else:
        assert operation["op"] in ("add", "replace"), operation
        assert isinstance(place, dict), operation
        place[last] = copy.deepcopy(operation["value"])
