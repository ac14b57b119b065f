"""Writes what in the manifests follows from elsewhere: the models from `configs/*.yaml`, Ray's variables from the
launcher's table. `make k8s` runs it; a test compares its output with the committed files.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from serve_app.launcher.configuration.env_overrides import rendered
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.configuration.ray_variables import RAY_DEFAULTS
from serve_app.launcher.configuration.validation import load_system
from serve_app.launcher.proxy import in_front

ROOT = Path(__file__).parents[1]

OVERLAYS = {
    "cpu": ("configs/app.yaml", SystemSettings(num_gpus=0)),
    "gpu": ("configs/fathomnet.yaml", SystemSettings()),
}
"""Overlay -> the system that it runs, and the values that replace some of that file's."""

DRAIN_TIMEOUT_S = 90
"""Seconds that a node takes at most to hand over its replicas; below the pods' grace of 120."""

_SAID_OTHERWISE = {
    "RAY_AUTH_MODE",  # the operator sets it, with the token
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER",  # a Ray that listens on one machine only
    "RAY_SERVE_ENABLE_HA_PROXY",
}


def serve_config(config: Path, settings: SystemSettings) -> dict[str, Any]:
    """`config` as KubeRay hands it to Serve: validated, without anchors, with a proxy on every node. Queues are in a
    Valkey of their own. Raises LaunchError for an invalid file."""
    document = rendered(load_system(config), settings, has_real_redis=True)
    return {"proxy_location": "EveryNode", **document}


def environment() -> dict[str, str]:
    """The variables of every Ray container: those that the launcher sets where it starts Ray itself."""
    variables = {one.name: one.default for one in RAY_DEFAULTS if one.name not in _SAID_OTHERWISE}
    return variables | {
        # The launcher writes HAProxy's rules anew at each start, and there is no launcher here. Ray's own proxy has
        # the same rules for headers and answers from this module.
        "RAY_SERVE_ENABLE_HA_PROXY": "0",
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": in_front.IMPORT_PATH,
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": str(DRAIN_TIMEOUT_S),
        # Between replicas gRPC would ask a proxy for the internet.
        "no_grpc_proxy": "0.0.0.0/0,::/0",
    }


def generated_files() -> dict[str, str]:
    """Path below the root of the repository -> text."""
    metadata = {"name": "fathomnet-environment"}
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": environment()}
    files = {"k8s/base/environment.yaml": _text(config_map, "the launcher's table of variables")}
    for overlay, (config, settings) in OVERLAYS.items():
        text = _yaml(serve_config(ROOT / config, settings))
        patch = [{"op": "add", "path": "/spec/serveConfigV2", "value": _Block(text)}]
        files[f"k8s/overlays/{overlay}/serve-config.yaml"] = _text(patch, config)
    return files


class _Block(str):
    """Text that is written as a literal block, to be read by people."""


class _Dumper(yaml.SafeDumper):
    """Writes what stands in several places in full: these files are read by people and by other programs."""

    def ignore_aliases(self, data: object) -> bool:
        return True


_Dumper.add_representer(_Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, "|"))


def _text(document: object, source: str) -> str:
    return f"# Made by `make k8s` from {source}: change that, not this.\n{_yaml(document)}"


def _yaml(document: object) -> str:
    return yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


def main() -> int:
    """Writes the files, and says which."""
    for name, text in generated_files().items():
        (ROOT / name).write_text(text, encoding="utf-8")
        sys.stderr.write(f"written: {name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
