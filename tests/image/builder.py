"""Builds the image where no container engine is at hand: Debian's buildah with chroot isolation, as root, and as the
base a Debian made by debootstrap, as a registry may be out of reach. The Dockerfile is the very one.

What pip and apt are told on this machine is passed on for the build and stays out of the image.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BASE, IMAGE = "localhost/fathom-base", "localhost/fathomnet-serve"
TOOLS = ("buildah", "debootstrap", "unshare", "nsenter", "setpriv", "ip", "curl")
CERTIFICATES = "/etc/ssl/certs"
_PATHS = {"find-links", "extra-index-url", "index-url", "cert", "client-cert"}


def reason_not_to_run() -> str:
    """Why no image can be built and started here; '' when it can."""
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        return f"not installed: {', '.join(missing)} (Debian: apt install buildah debootstrap)"
    if os.geteuid() != 0:
        return "must be run as root"
    namespaces = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--ipc", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
    )
    return f"no namespaces and mounts: {namespaces.stderr.strip()}" if namespaces.returncode else ""


@dataclass(frozen=True)
class Builder:
    """Images in a folder of their own: 10 GB at most."""

    folder: Path

    def buildah(self, *arguments: str, **options: Any) -> str:
        """What buildah prints. Raises CalledProcessError."""
        driver = storage_driver(str(self.folder))
        place = ["--root", f"{self.folder}/storage", "--runroot", f"{self.folder}/run", "--storage-driver", driver]
        temporary = self.folder / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        command = ["buildah", *place, *arguments]
        environ = {**os.environ, "TMPDIR": str(temporary)}
        return subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True, **options).stdout

    def has(self, image: str) -> bool:
        return image in self.buildah("images", "--format", "{{.Name}}").split()

    def make_base(self) -> None:
        """Debian with its own Python, in place of the slim image of Docker Hub."""
        if self.has(BASE):
            return
        root = self.folder / "base"
        command = ["debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates"]
        subprocess.run([*command, "bookworm", str(root)], check=True, stdout=subprocess.DEVNULL)
        container = self.buildah("from", "scratch").strip()
        self.buildah("add", "--quiet", container, str(root), "/")
        self.buildah("commit", "--quiet", "--rm", container, BASE)
        shutil.rmtree(root)

    def make_image(self) -> None:
        """The image of the Dockerfile, for the CPU."""
        secret = self.folder / "pip.conf"
        settings, mounts = pip_of_this_machine()
        secret.write_text(settings)
        volumes = [word for path in mounts for word in ("--volume", f"{path}:{path}:rw")]
        arguments = ["--isolation", "chroot", "--format", "docker", "--build-arg", f"BASE_IMAGE={BASE}"]
        arguments += ["--secret", f"id=pip,src={secret}", *volumes, "--tag", IMAGE, str(ROOT)]
        self.buildah("build", *arguments)

    def configuration(self) -> dict[str, Any]:
        """What the image says of its user, commands, signal and health."""
        found: dict[str, Any] = json.loads(self.buildah("inspect", "--type", "image", IMAGE))
        return dict(found["Docker"]["config"])

    def history(self) -> str:
        """How each layer was made."""
        return json.dumps(json.loads(self.buildah("inspect", "--type", "image", IMAGE))["Docker"]["history"])

    @contextmanager
    def file_system(self) -> Iterator[Path]:
        """The image's files, unpacked."""
        container = self.buildah("from", "--pull-never", IMAGE).strip()
        try:
            yield Path(self.buildah("mount", container).strip())
        finally:
            self.buildah("rm", container)


@cache
def storage_driver(folder: str) -> str:
    """Layers as layers, where the kernel allows it in `folder`; else as whole copies, which takes minutes more."""
    layers = [Path(folder, "overlay-test", name) for name in ("lower", "upper", "work", "merged")]
    for layer in layers:
        layer.mkdir(parents=True, exist_ok=True)
    lower, upper, work, merged = layers
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    mount = ["unshare", "--mount", "mount", "-t", "overlay", "-o", options, "overlay", str(merged)]
    works = subprocess.run(mount, capture_output=True).returncode == 0
    shutil.rmtree(lower.parent)
    return "overlay" if works else "vfs"


def pip_of_this_machine() -> tuple[str, list[str]]:
    """This machine's settings of pip as a file, its cache among them, and the paths that they name."""
    pip = [sys.executable, "-m", "pip"]
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=True).stdout
    cache = subprocess.run([*pip, "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    Path(cache).mkdir(parents=True, exist_ok=True)
    settings, mounts = {"cache-dir": cache}, [cache]
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        key, words = name.split(".")[-1], value.strip("'\"").replace("\\n", " ")
        settings[key] = words
        if key in _PATHS:
            paths = [Path(word.removeprefix("file://")) for word in words.split()]
            # An index names files beside it.
            paths = [path.parent if key.endswith("index-url") else path for path in paths]
            mounts += [str(path) for path in paths if path.is_absolute() and path.exists()]
    if Path(CERTIFICATES).is_dir():
        mounts = [path for path in mounts if not path.startswith(CERTIFICATES)] + [CERTIFICATES]
    text = "".join(f"{key} = {value}\n" for key, value in settings.items())
    return f"[global]\n{text}", list(dict.fromkeys(mounts))
