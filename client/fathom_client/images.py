"""Whatever a program calls an image, as the bytes of an image file."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from fathom_client.errors import UnusableImage

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from numpy.typing import NDArray

ImageInput = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, "NDArray[np.uint8]", "PIL.Image.Image"]
"""A path, the bytes of an image file, an array (height, width, 3) in RGB or (height, width) in grey, uint8, or a
picture of Pillow."""

MOST_BYTES = 1 << 30
"""A larger file is not even read: no server takes it (64 MiB unless its operator chose otherwise)."""

PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
OTHER_COLOURS = ("CMYK", "YCbCr", "HSV", "LAB", "RGBX", "PA")


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image file. name: as the server is told, without a folder; None where nobody named it."""

    content: bytes
    name: str | None = None


def encoded(image: Any) -> EncodedImage:
    """An ImageInput as a file. Raises UnusableImage for it, or for anything else."""
    if isinstance(image, (str, os.PathLike)):
        return _file(Path(image))
    if isinstance(image, (bytes, bytearray, memoryview)):
        return EncodedImage(bytes(image))
    if _is_a("PIL.Image", "Image", image):
        return _picture(image)
    if _is_a("numpy", "ndarray", image):
        return EncodedImage(_netpbm(image))
    raise UnusableImage(
        f"a {type(image).__name__} is no image: it takes a path, the bytes of a file, a NumPy array or a Pillow image"
    )


def _is_a(module: str, name: str, thing: Any) -> bool:
    """Whether it is of this class, without importing a library that may not be installed: whoever holds such a thing
    has imported it."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(thing, getattr(loaded, name))


def _file(path: Path) -> EncodedImage:
    try:
        # A device has no size and no end, so what is read counts, too.
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = b"" if size > MOST_BYTES else file.read(MOST_BYTES + 1)
        if max(size, len(content)) > MOST_BYTES:
            raise UnusableImage(f"{path}: {max(size, len(content)):,} bytes, more than any server takes")
        return EncodedImage(content, path.name.encode("utf-8", "replace").decode())
    except OSError as error:
        raise UnusableImage(f"{path}: {error.strerror or error}") from error


def _picture(picture: PIL.Image.Image) -> EncodedImage:
    """As PNG, which loses nothing."""
    name = Path(str(getattr(picture, "filename", "") or "")).name or None
    if picture.mode in OTHER_COLOURS:
        picture = picture.convert("RGB")
    if picture.mode not in PNG_MODES:
        raise UnusableImage(f"a picture of mode {picture.mode} has no colours to show: convert it to RGB or L first")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)
    return EncodedImage(buffer.getvalue(), name)


def _netpbm(array: NDArray[Any]) -> bytes:
    """As PGM or PPM: no library, no loss, no time."""
    shape, kind = array.shape, array.dtype
    is_grey, is_rgb = array.ndim == 2, array.ndim == 3 and shape[2] == 3
    if str(kind) != "uint8" or not (is_grey or is_rgb) or array.size == 0:
        raise UnusableImage(
            f"an array of {kind} {shape}; it has to be uint8, (height, width, 3) in RGB or (height, width) in grey"
        )
    return b"%s %d %d 255\n" % (b"P5" if is_grey else b"P6", shape[1], shape[0]) + array.tobytes()
