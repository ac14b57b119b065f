"""Weights of a keras-retinanet network, computed from their names, so that no file of 145 MB need be kept.

Needs NumPy only: the script that runs the original code imports it, and so do the tests.
"""

import zlib

import numpy as np


def weight(name, shape):
    """The weight `name`, "layer/kind", as float32 of `shape`. Kernels are (height, width, in, out)."""
    layer, kind = name.rsplit("/", 1)
    random = np.random.default_rng(zlib.crc32(name.encode()))
    values = random.standard_normal(shape)
    if kind == "kernel":
        gain = {"conv1": 0.01, "pyramid_classification": 0.5, "pyramid_regression": 1.0}.get(layer, 2.0**0.5)
        return (values * gain / np.sqrt(np.prod(shape[:3]))).astype(np.float32)
    if kind == "bias":
        return (values * 0.05 - (3.0 if layer == "pyramid_classification" else 0.0)).astype(np.float32)
    if kind == "moving_variance":
        return (1.0 + 0.4 * np.tanh(values)).astype(np.float32)
    centre = 0.0 if kind in ("beta", "moving_mean") else 0.2 if layer.endswith("branch2c") else 1.0
    return (centre + 0.05 * values).astype(np.float32)
