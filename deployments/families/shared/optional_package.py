"""Packages of an extra, imported when a model needs them."""

from importlib import import_module
from typing import Any

from deployments.errors import ModelUnavailable


def optional_package(name: str) -> Any:
    """A package of the extra `onnx`. Raises ModelUnavailable, naming the extra, when it is not installed."""
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelUnavailable(
            f"ONNX models need the package {name}, which is not installed: the extra `onnx` has it "
            "(pip install -e '.[onnx]')"
        ) from error
