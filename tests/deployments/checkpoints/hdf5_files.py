"""A small HDF5 file as Keras writes it, with one change, and what the product reads of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

KERNEL = np.arange(12, dtype=np.float32).reshape(3, 4)


def write(path: Path, change: Callable[[Any], None] | None = None) -> Path:
    """A file of weights only with one layer, and what `change` does to it."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [b"dense"]
        layer = file.create_group("dense")
        layer.attrs["weight_names"] = [b"dense/kernel:0"]
        layer.create_dataset("dense/kernel:0", data=KERNEL)
        if change is not None:
            change(file)
    return path


def replace(file: Any, make: Callable[[Any], None]) -> None:
    """Puts something else where the kernel lay."""
    del file["dense/dense/kernel:0"]
    make(file["dense/dense"])


def compressed(group: Any) -> None:
    group.create_dataset("kernel:0", data=KERNEL, compression="gzip")


def attribute(key: str, value: Any, owner: str = "/") -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file[owner].attrs[key] = value

    return change
