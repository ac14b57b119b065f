"""Weights of a RetinaNet of detectron2, computed from their names, so that no large file need be kept.

Needs NumPy only: the script that runs the original code imports it, and so do the tests.
"""

import zlib

import numpy as np


def weight(name, shape):
    """The weight `name` as float32 of `shape`. Kernels are (out, in, height, width)."""
    if name.endswith(("norm.bias", "running_mean")):
        return np.zeros(shape, np.float32)
    if name.endswith("running_var"):
        return np.ones(shape, np.float32)
    if name.endswith("norm.weight"):
        return np.full(shape, 0.2 if ".conv3." in name else 1.0, np.float32)
    if name.endswith(".bias"):
        return np.full(shape, -2.5 if "cls_score" in name else 0.0, np.float32)
    gain = {"head.cls_score.weight": 2.2, "head.bbox_pred.weight": 0.6}.get(name, np.sqrt(2.0))
    if name == "backbone.bottom_up.stem.conv1.weight":
        gain /= 300
    random = np.random.default_rng(zlib.crc32(name.encode()))
    return (random.standard_normal(shape) * gain / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
