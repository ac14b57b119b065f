"""The images in the tensors of a request. Pure.

`image`: BYTES, an encoded file each, in JSON as base64; or UINT8, pixels. `pixels`: UINT8 only, for clients that want
one datatype for each name.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from deployments.errors import InvalidImage, InvalidRequest
from deployments.request import Image
from deployments.text.base64_text import decoded_base64
from deployments.text.nearest_name import nearest_of
from serve_app.faces.open_inference.tensors import BYTES, InputTensor

MAX_IMAGES = 32
"""Of one request."""

IMAGE = "image"
PIXELS = "pixels"

_TAKES = {IMAGE: (BYTES, "UINT8"), PIXELS: ("UINT8",)}
_ADDRESSES = ("http://", "https://")


def images_in(tensors: Sequence[InputTensor]) -> list[Image]:
    """1 to MAX_IMAGES. Raises InvalidRequest and InvalidImage."""
    tensor = the_input(tensors, _TAKES)
    if tensor.datatype not in _TAKES[tensor.name]:
        raise InvalidRequest(f"{tensor.where} must be of {' or '.join(_TAKES[tensor.name])}, got {tensor.datatype}")
    return list(_files(tensor) if tensor.datatype == BYTES else _pixels(tensor))


def the_input(tensors: Sequence[InputTensor], known: Sequence[str] | dict[str, tuple[str, ...]]) -> InputTensor:
    """The only tensor, of one of the known names. Raises InvalidRequest."""
    for tensor in tensors:
        if tensor.name not in known:
            raise InvalidRequest(f"there is no input {tensor.name[:64]!r}; {nearest_of(tensor.name, known)}")
    if len(tensors) != 1:
        raise InvalidRequest(f"one input must be given, {' or '.join(known)}, got {len(tensors)}")
    return tensors[0]


def check_count(count: int, tensor: InputTensor) -> None:
    """Raises InvalidRequest where there is no image, or are too many."""
    if not 1 <= count <= MAX_IMAGES:
        raise InvalidRequest(f"{tensor.where} must hold 1 to {MAX_IMAGES} images, got {count}")


def _files(tensor: InputTensor) -> Iterator[Image]:
    # Models with a batch axis have a second one of size 1 for each text.
    if len(tensor.shape) != 1 and not (len(tensor.shape) == 2 and tensor.shape[1] == 1):
        raise InvalidRequest(f"{tensor.where} of {BYTES} must have the shape [n] or [n, 1], got {list(tensor.shape)}")
    check_count(tensor.shape[0], tensor)
    for index, element in enumerate(tensor.elements()):
        where = f"{tensor.name}[{index}]"
        if not len(element):
            raise InvalidImage(f"{where} is empty")
        yield Image.from_encoded(_decoded(element, where) if isinstance(element, str) else element)


def _decoded(text: str, where: str) -> bytes:
    if text[:10].lstrip().lower().startswith(_ADDRESSES):
        raise InvalidRequest(f"{where} is an address, and this server fetches nothing; send the file as base64")
    return decoded_base64(text, where)


def _pixels(tensor: InputTensor) -> Iterator[Image]:
    shape = tensor.shape
    if len(shape) not in (3, 4) or shape[-1] != 3 or not all(shape):
        raise InvalidRequest(
            f"{tensor.where} of UINT8 must have the shape [height, width, 3] or [n, height, width, 3], "
            f"got {list(shape)}"
        )
    check_count(shape[0] if len(shape) == 4 else 1, tensor)
    values = np.asarray(tensor.numbers(), np.uint8)
    for one in values if len(shape) == 4 else [values]:
        yield Image.from_pixels(one)
