"""Pictures for the tests of the page, made on the spot."""

import io

from PIL import Image

WIDTH_PX, HEIGHT_PX = 400, 200
EXIF_ORIENTATION = 0x0112
QUARTER_TURN = 6


def png(width_px: int = WIDTH_PX, height_px: int = HEIGHT_PX) -> bytes:
    """A plain PNG file of this size."""
    return _encoded(Image.new("RGB", (width_px, height_px), (10, 60, 80)), "PNG")


def turned_jpeg() -> bytes:
    """A JPEG file of 400 x 200 stored pixels whose EXIF tag asks for a quarter turn."""
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = QUARTER_TURN
    return _encoded(Image.new("RGB", (WIDTH_PX, HEIGHT_PX), (10, 60, 80)), "JPEG", exif=exif)


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
