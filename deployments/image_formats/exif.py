"""The one part of EXIF that is read: which way up the image was taken (EXIF 2.3, tag 0x0112)."""

from deployments.errors import InvalidImage
from deployments.image_formats.tags import ORIENTATION, Directory


def orientation_of(exif: memoryview) -> int:
    """1 to 8; 1 where it is missing or the EXIF data are damaged, which spoils no image.

    exif: from its byte order on, as `II*` and an offset.
    """
    if bytes(exif[:6]) == b"Exif\0\0":
        exif = exif[6:]
    try:
        value = Directory.first_of(exif).number(ORIENTATION, 1)
    except InvalidImage:
        return 1
    return value if 1 <= value <= 8 else 1
