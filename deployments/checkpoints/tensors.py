"""Tensors of a checkpoint: a shape over raw bytes, read when asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.checkpoints.archive import Archive

MAX_DIMENSIONS = 8
MAX_NUMEL = 2**31

# bfloat16 has no NumPy type: it is read as uint16 and widened to float32, of which it is the upper half.
BFLOAT16 = "bfloat16"

STORAGE_TYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "|b1",
}
"""Storage classes of `torch` and the NumPy type of their elements."""


@dataclass(frozen=True, slots=True)
class Storage:
    """A flat run of `numel` elements in the archive, under `key`."""

    archive: Archive = field(repr=False)
    key: str
    type_name: str
    numel: int

    def __post_init__(self) -> None:
        if self.numel < 0:
            raise self.archive.refusal(f"storage {self.key[:40]!r} has {self.numel} elements")
        self.archive.check_storage(self.key, self.numel * self.itemsize)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return 2 if self.type_name == BFLOAT16 else np.dtype(self.type_name).itemsize

    def elements(self) -> NDArray[Any]:
        """All elements, (numel,)."""
        data = self.archive.storage_bytes(self.key, self.numel * self.itemsize)
        if self.type_name == BFLOAT16:
            widened: NDArray[np.float32] = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
            return widened
        if self.type_name == "|b1":
            return np.frombuffer(data, np.uint8).astype(bool)
        return np.frombuffer(data, self.type_name)


@dataclass(frozen=True, slots=True)
class Tensor:
    """A view of a storage. Checked when made, read later."""

    storage: Storage

    offset: int
    """In elements, as in PyTorch."""

    shape: tuple[int, ...]

    strides: tuple[int, ...]
    """In elements, as in PyTorch."""

    def __post_init__(self) -> None:
        refusal = self.storage.archive.refusal
        if len(self.shape) != len(self.strides):
            raise refusal(f"a tensor has {len(self.shape)} sizes and {len(self.strides)} strides")
        if self.offset < 0 or min(self.shape, default=0) < 0 or min(self.strides, default=0) < 0:
            raise refusal(
                f"a tensor has a negative offset, size or stride: {self.offset}, {self.shape}, {self.strides}"
            )
        # NumPy cannot make what is empty along one side and endless along another.
        if max(self.numel, *self.shape, 0) > MAX_NUMEL:
            raise refusal(f"a tensor of shape {self.shape} has more than {MAX_NUMEL} elements")
        last = self.offset + sum((n - 1) * stride for n, stride in zip(self.shape, self.strides, strict=True))
        if self.numel > 0 and last >= self.storage.numel:
            raise refusal(f"a tensor reaches element {last} of a storage of {self.storage.numel} elements")

    @property
    def numel(self) -> int:
        """Number of elements."""
        product = 1
        for size in self.shape:
            product *= size
        return product

    def numpy(self) -> NDArray[Any]:
        """The values in C order, in their own type (bfloat16 becomes float32). Reads the file."""
        # Expanded tensors (stride 0) lie about in real files, but no weight is one.
        if self.numel > self.storage.numel:
            raise self.storage.archive.refusal(
                f"a weight of shape {self.shape} repeats the {self.storage.numel} elements of its storage"
            )
        if self.numel == 0:
            return np.zeros(self.shape, np.float32)
        elements = self.storage.elements()
        strides_bytes = tuple(stride * elements.itemsize for stride in self.strides)
        view = np.lib.stride_tricks.as_strided(elements[self.offset :], self.shape, strides_bytes, writeable=False)
        return np.ascontiguousarray(view).reshape(self.shape)


def is_int_tuple(value: Any) -> bool:
    """Whether `value` is a short tuple of true integers, as sizes and strides are."""
    short = isinstance(value, tuple) and len(value) <= MAX_DIMENSIONS
    return short and all(type(item) is int for item in value)


def rebuild(archive: Archive, arguments: Sequence[object]) -> Tensor:
    """The tensor of `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, ...)`.

    Raises ModelUnavailable when an argument has the wrong type or reaches outside the storage.
    """
    if len(arguments) < 4:
        raise archive.refusal(f"a tensor is rebuilt from {len(arguments)} values, expected at least 4")
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, Storage) or type(offset) is not int:
        raise archive.refusal("a tensor is rebuilt from something that is not a storage")
    if not is_int_tuple(shape) or not is_int_tuple(strides):
        raise archive.refusal(f"the sizes or strides of a tensor are not up to {MAX_DIMENSIONS} integers")
    return Tensor(storage, offset, shape, strides)  # type: ignore[arg-type]
