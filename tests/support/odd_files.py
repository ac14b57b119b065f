"""Builders of image files byte by byte, for `odd_images` and other tests. Nothing here is a picture of anybody."""

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import PIL.Image

MIB = 2**20
SIDE_PX = 8000
"""Of the largest pictures: 64 megapixels, which is the limit."""

_ROWS, _COLUMNS = 48, 64
COLOURS = (np.add.outer(np.arange(_ROWS) * 4, np.arange(_COLUMNS) * 3)[:, :, None] // np.array([1, 2, 3])).astype(
    np.uint8
)
"""The picture in most of the files: RGB uint8, 48 x 64 x 3, all smooth."""

GREY = COLOURS[:, :, 0]


def saved(picture: PIL.Image.Image, kind: str, **options: object) -> bytes:
    """As Pillow writes it."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def coloured(kind: str, **options: object) -> bytes:
    """`COLOURS` as a file."""
    return saved(PIL.Image.fromarray(COLOURS), kind, **options)


# PNG


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """With a right checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks: bytes) -> bytes:
    """`COLOURS`, and behind the header what is given."""
    whole = coloured("PNG")
    return whole[:33] + b"".join(chunks) + whole[33:]


def png_of_zeros(width: int, height: int, depth: int = 8, colour: int = 0, interlace: int = 0) -> bytes:
    """All values zero. colour: 0 grey, 2 RGB, 6 RGBA."""
    row_bytes = 1 + width * depth * {0: 1, 2: 3, 6: 4}[colour] // 8
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(b"\0" * row_bytes * 64) for _ in range(height // 64 + 1 + interlace * 8))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", data + packer.flush()) + chunk(b"IEND")


# JPEG


def segment(kind: int, data: bytes = b"") -> bytes:
    return b"\xff" + bytes([kind]) + struct.pack(">H", 2 + len(data)) + data


def jpeg_with(*segments: bytes) -> bytes:
    """`COLOURS`, and behind the first marker what is given."""
    whole = coloured("JPEG")
    return whole[:2] + b"".join(segments) + whole[2:]


def jpeg_of_scans(scans: int, side_px: int = SIDE_PX, components: int = 1, frame: int = 0xC2) -> bytes:
    """Ten bytes a scan, each of which makes a decoder walk over the whole picture."""
    said = b"".join(bytes([1 + one, 0x11, 0]) for one in range(components))
    first = b"".join(bytes([1 + one, 0]) for one in range(components))
    return b"".join(
        [
            *(b"\xff\xd8", segment(0xDB, b"\0" + b"\1" * 64)),
            segment(frame, struct.pack(">BHHB", 8, side_px, side_px, components) + said),
            segment(0xC4, bytes([0x00, 1, *[0] * 15, 0])),
            segment(0xC4, bytes([0x10, 1, 1, *[0] * 14, 0xE0, 0x00])),
            segment(0xDA, bytes([components]) + first + b"\0\0\0"),
            *(segment(0xDA, bytes([1, 1 + one % components, 0, 1, 63, 0])) for one in range(scans - 1)),
            b"\xff\xd9",
        ]
    )


# TIFF

Entry = tuple[int, str, Sequence[int] | bytes]
_KINDS = {"B": 1, "H": 3, "I": 4}


def tiff(entries: Sequence[Entry], data: bytes = b"") -> bytes:
    """Little-endian. The values that are `AT` become the place of `data`."""
    start = 8 + 2 + 12 * len(entries) + 4
    at = start + sum(size for *_, values in entries if (size := _size(values)) > 4)
    directory, values_of = struct.pack("<H", len(entries)), b""
    for code, form, values in entries:
        said = values if isinstance(values, bytes) else [at if one == AT else one for one in values]
        raw = said if isinstance(said, bytes) else struct.pack(f"<{len(said)}{form}", *said)
        count = len(raw) // struct.calcsize(form)
        place = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", start + len(values_of))
        values_of += raw if len(raw) > 4 else b""
        directory += struct.pack("<HHI", code, _KINDS[form], count) + place
    return b"II*\0\x08\0\0\0" + directory + b"\0\0\0\0" + values_of + data


AT = -1


def _size(values: Sequence[int] | bytes) -> int:
    return len(values) * (1 if isinstance(values, bytes) else 4)


def tiff_of_strips(size_px: tuple[int, int], rows: int, strip: bytes, **tags: int) -> bytes:
    """Every strip has the same bytes. size_px: width, height.  rows: of each strip."""
    count = -(-size_px[1] // rows)
    named = {"bits": 8, "compression": 1, "photometric": 1, "samples": 1, "form": 1} | tags
    return tiff(
        [
            *((256, "I", [size_px[0]]), (257, "I", [size_px[1]])),
            *((258, "I", [named["bits"]] * named["samples"]), (259, "I", [named["compression"]])),
            *((262, "I", [named["photometric"]]), (273, "I", [AT] * count), (277, "I", [named["samples"]])),
            *((278, "I", [rows]), (279, "I", [len(strip)] * count)),
            (339, "I", [named["form"]] * named["samples"]),
        ],
        strip,
    )


def tiff_of_tiles(size_px: tuple[int, int], tile_px: tuple[int, int], tile: bytes, compression: int = 1) -> bytes:
    """Every tile has the same bytes. Sizes: width, height."""
    count = -(-size_px[0] // tile_px[0]) * -(-size_px[1] // tile_px[1])
    return tiff(
        [
            *((256, "I", [size_px[0]]), (257, "I", [size_px[1]]), (258, "I", [8]), (259, "I", [compression])),
            *((262, "I", [1]), (277, "I", [1]), (322, "I", [tile_px[0]]), (323, "I", [tile_px[1]])),
            *((324, "I", [AT] * count), (325, "I", [len(tile)] * count)),
        ],
        tile,
    )


def tiff_values(dtype: str, form: int, samples: int = 1, photometric: int = 1) -> bytes:
    """`GREY`, or that many of it a pixel, as values of `dtype`. form: 1 whole, 2 signed, 3 floating point."""
    values = np.repeat(GREY, samples).astype(dtype)
    bits = values.itemsize * 8
    return tiff_of_strips(
        (_COLUMNS, _ROWS), _ROWS, values.tobytes(), bits=bits, form=form, samples=samples, photometric=photometric
    )


def turned(kind: str, orientation: int = 6, **options: object) -> bytes:
    """`COLOURS` with an EXIF orientation; lossless but for JPEG."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return coloured(kind, exif=exif, **options)


# BMP, GIF, WebP and PNM


def bmp_of_runs(side_px: int, runs: bytes) -> bytes:
    """Run-length coded, 8 bits a pixel."""
    head = struct.pack("<IiiHHIIiiII", 40, side_px, side_px, 1, 8, 1, len(runs), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(runs), 0, 0, 1078) + head + bytes(1024) + runs


def gif_with(blocks: bytes) -> bytes:
    """`COLOURS`, and before its frame what is given."""
    whole = coloured("GIF")
    start = 13 + 3 * 2 ** ((whole[10] & 7) + 1)
    return whole[:start] + blocks + whole[start:]


def gif_frame(screen_px: int, frame_px: int, data: bytes) -> bytes:
    screen = struct.pack("<HHBBB", screen_px, screen_px, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, frame_px, frame_px, 0) + data


def webp_with(kind: bytes, size_bytes: int) -> bytes:
    """An extended WebP of `COLOURS` with one more chunk at its end."""
    picture = coloured("WEBP", lossless=True)[12:]
    canvas = b"\x2c\0\0\0" + (_COLUMNS - 1).to_bytes(3, "little") + (_ROWS - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + picture
    body += kind + struct.pack("<I", size_bytes) + bytes(size_bytes)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_canvas(side_px: int) -> bytes:
    """That only claims to be so large."""
    canvas = bytes(4) + (side_px - 1).to_bytes(3, "little") * 2
    body = b"WEBPVP8X" + struct.pack("<I", 10) + canvas + b"VP8 " + struct.pack("<I", 900) + bytes(900)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def webp_frames(count: int) -> bytes:
    frames = [PIL.Image.new("RGB", (16, 16), (one % 256, one // 256, 0)) for one in range(count)]
    return saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])


def webp_of_noise(side_px: int) -> bytes:
    """Nearly four bytes a pixel, with its transparency."""
    noise = np.random.default_rng(0).integers(0, 256, (side_px, side_px, 4), dtype=np.uint8)
    return saved(PIL.Image.fromarray(noise), "WEBP", quality=100, method=0)
