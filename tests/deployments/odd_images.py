"""Small files that are odd, damaged or hostile, and what a right answer to each is: `ODD_IMAGES`, a table.

For tests through any door: `for odd in ODD_IMAGES: content = odd.make()`, which is made anew each time, in at most a
second; `odd.error` is the type of error that is right, None where the file is a picture. No file is larger than
64 MiB, and only those that say so are larger than a few megabytes. Nothing here is a picture of anybody.
"""

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import PIL.Image

from deployments.errors import ImageTooLarge, InvalidImage, ServingError

MIB = 2**20
SIDE_PX = 8000
"""Of the largest pictures: 64 megapixels, which is the limit."""

_ROWS, _COLUMNS = 48, 64
COLOURS = (np.add.outer(np.arange(_ROWS) * 4, np.arange(_COLUMNS) * 3)[:, :, None] // np.array([1, 2, 3])).astype(
    np.uint8
)
"""The picture in most of the files: RGB uint8, 48 x 64 x 3, all smooth."""

GREY = COLOURS[:, :, 0]


@dataclass(frozen=True, slots=True)
class OddImage:
    """error: the type of the right answer, None for a picture."""

    name: str
    make: Callable[[], bytes]
    error: type[ServingError] | None


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


def _grey16(kind: str) -> bytes:
    return saved(PIL.Image.fromarray(GREY.astype(np.uint16) * 257), kind)


def _broken_checksum(kind: bytes) -> bytes:
    return chunk(kind, b"Comment\0hello")[:-1] + b"\0"


def _real_progressive() -> bytes:
    large = PIL.Image.fromarray(COLOURS).resize((SIDE_PX, SIDE_PX), PIL.Image.Resampling.NEAREST)
    return saved(large, "JPEG", progressive=True, quality=50)


_TOO_LARGE: dict[str, Callable[[], bytes]] = {
    "jpeg-1000-scans": lambda: jpeg_of_scans(1000),
    "jpeg-10000-scans": lambda: jpeg_of_scans(10_000),
    "jpeg-21-scans-of-64-megapixels": lambda: jpeg_of_scans(21),
    "jpeg-101-scans-of-a-pixel": lambda: jpeg_of_scans(101, side_px=1),
    "jpeg-sequential-with-many-scans": lambda: jpeg_of_scans(1000, components=3, frame=0xC0)[:-2].replace(
        segment(0xDA, b"\3\1\0\2\0\3\0\0\0\0"), segment(0xDA, b"\1\1\0\0\0\0")
    ),
    "jpeg-claims-65535": lambda: jpeg_of_scans(1, side_px=65_535),
    "png-claims-30000": lambda: (
        png_of_zeros(30_000, 1)[:16]
        + struct.pack(">IIBBBBBI", 30_000, 30_000, 8, 0, 0, 0, 0, 0)
        + chunk(b"IDAT")
        + chunk(b"IEND")
    ),
    "png-one-wide": lambda: png_of_zeros(1, 1_000_000),
    "gif-claims-more-in-its-frame": lambda: gif_frame(1, 60_000, b"\2\1\0\0;"),
    "webp-claims-16383": lambda: webp_canvas(16_383),
    "webp-claims-16-million": lambda: webp_canvas(2**24),
    "bmp-claims-32000": lambda: bmp_of_runs(32_000, b"\0\1"),
    "bmp-62-mib-of-runs": lambda: bmp_of_runs(SIDE_PX, b"\1\5" * (31 * MIB)),
    "bmp-60-mib-of-jumps": lambda: bmp_of_runs(SIDE_PX, b"\0\2\0\0" * (15 * MIB)),
    "tiff-claims-100000": lambda: tiff_of_strips((100_000, 100_000), 100_000, bytes(9)),
    "ppm-claims-100000": lambda: b"P6 100000 100000 255\n" + bytes(1000),
    "more-bytes-than-the-limit": lambda: b"BM" + bytes(64 * MIB),
}
_INVALID: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"hello",
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
    "svg": lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
    "jpeg-many-exif-segments": lambda: jpeg_with(*[segment(0xE1, b"Exif\0\0B")] * 50_000),
    "jpeg-16-million-tiny-segments": lambda: jpeg_with(b"\xff\xe5\0\2" * (8 * MIB)),
    "jpeg-restart-markers-before-the-picture": lambda: jpeg_with(b"\xff\xd0" * (20 * MIB)),
    "jpeg-segments-between-its-scans": lambda: jpeg_of_scans(2)[:-2] + segment(0xFE) * (4 * MIB),
    "jpeg-lossless": lambda: jpeg_of_scans(1, 64, frame=0xC3),
    "jpeg-arithmetic": lambda: jpeg_of_scans(20, frame=0xCA),
    "jpeg-hierarchical": lambda: jpeg_of_scans(1, 64, frame=0xC5),
    "jpeg-without-size": lambda: b"\xff\xd8" + segment(0xDA, b"\1\1\0\0\0\0"),
    "jpeg-truncated": lambda: coloured("JPEG")[:-200],
    "jpeg-header-only": lambda: coloured("JPEG")[:300],
    "png-signature-only": lambda: b"\x89PNG\r\n\x1a\n",
    "png-truncated": lambda: coloured("PNG")[:-40],
    "png-broken-header-checksum": lambda: (lambda png: png[:32] + bytes([png[32] ^ 1]) + png[33:])(coloured("PNG")),
    "png-5-million-empty-chunks": lambda: png_with(chunk(b"IDAT") * (4 * MIB)),
    "png-4-million-texts": lambda: png_with(chunk(b"tEXt", b"a\0") * (4 * MIB)),
    "gif-10-million-blocks": lambda: gif_with(b"!\xfe\1x\0" * (10 * MIB)),
    "gif-without-frame": lambda: gif_frame(9, 9, b"")[:19] + b"!\xfe\1x\0;",
    "gif-60-mib-of-tiny-blocks": lambda: gif_frame(SIDE_PX, SIDE_PX, b"\2" + b"\1\4" * (30 * MIB) + b"\0;"),
    "webp-truncated": lambda: coloured("WEBP")[:-60],
    "webp-extended-and-truncated": lambda: webp_with(b"NOTE", 0)[:-60],
    "bmp-jpeg-inside": lambda: bmp_of_runs(64, b"")[:30] + struct.pack("<I", 4) + bytes(1100),
    "tiff-float": lambda: tiff_values("<f4", 3),
    "tiff-half-float": lambda: tiff_values("<f2", 3),
    "tiff-double": lambda: tiff_values("<f8", 3),
    "tiff-float-colours": lambda: tiff_values("<f4", 3, samples=3, photometric=2),
    "tiff-32-bit": lambda: tiff_values("<u4", 1),
    "tiff-signed": lambda: tiff_values("<i2", 2),
    "tiff-lab": lambda: tiff_values("u1", 1, samples=3, photometric=8),
    "tiff-5-samples": lambda: tiff_values("u1", 1, samples=5, photometric=2),
    "tiff-65535-samples": lambda: tiff_of_strips((9, 9), 9, bytes(81)).replace(
        struct.pack("<HHII", 277, 4, 1, 1), struct.pack("<HHII", 277, 4, 1, 65_535)
    ),
    "tiff-lzma": lambda: tiff_of_strips((9, 9), 9, bytes(81), compression=34_925),
    "tiff-20000-tags": lambda: tiff([(40_000 + one, "I", [1]) for one in range(20_000)]),
    "tiff-4-million-strips": lambda: tiff(
        [(256, "I", [9]), (257, "I", [9]), (273, "I", bytes(16 * MIB)), (279, "I", bytes(16 * MIB))]
    ),
    "tiff-huge-tile": lambda: tiff_of_tiles((100, 100), (60_000, 60_000), b"\x80\0\0\0", compression=5),
    "tiff-jpeg-of-1000-scans": lambda: tiff_of_strips(
        (SIDE_PX, SIDE_PX), SIDE_PX, jpeg_of_scans(1000), compression=7
    ),
    "tiff-jpeg-larger-than-its-strip": lambda: tiff_of_strips(
        (SIDE_PX, SIDE_PX), 8, jpeg_of_scans(90), compression=7
    ),
    "tiff-tiles-that-share-50-mib-of-tables": lambda: tiff_of_tiles(
        (4096, 4096),
        (64, 64),
        b"\xff\xd8" + segment(0xC4, bytes([0, 1, *[0] * 15, 0])) * (5 * MIB // 2),
        compression=7,
    ),
    "tiff-without-byte-counts": lambda: tiff_of_strips((9, 9), 9, b""),
    "tiff-directory-outside": lambda: b"II*\0" + struct.pack("<I", 2**31),
    "tiff-directory-at-itself": lambda: b"II*\0\4\0\0\0" + b"\0" * 60,
    "tiff-truncated": lambda: tiff_values("u1", 1)[:-9],
    "tiff-60-mib-of-no-operation": lambda: tiff_of_strips(
        (SIDE_PX, SIDE_PX), SIDE_PX, b"\x80" * (60 * MIB), compression=32_773
    ),
    "ppm-plain-text": lambda: b"P3 1 1 255\n1 2 3\n",
    "ppm-plain-text-of-comments": lambda: b"P3 100 100 255\n" + b"#\n" * MIB,
    "pbm-plain-text": lambda: b"P1 2 1\n0 1\n",
    "pgm-60-mib-of-comments": lambda: b"P5 " + b"#\n" * (30 * MIB) + b"9 9 255\n" + bytes(81),
    "pgm-60-mib-of-one-comment": lambda: b"P5 #" + b"x" * (60 * MIB),
    "pgm-60-mib-of-spaces": lambda: b"P5" + b" " * (60 * MIB),
    "pgm-truncated": lambda: b"P5 9 9 255\n" + bytes(80),
    "pgm-no-white": lambda: b"P5 9 9 0\n" + bytes(81),
    "pfm": lambda: b"Pf 9 9 -1.0\n" + bytes(324),
}
_PICTURES: dict[str, Callable[[], bytes]] = {
    "jpeg-progressive": lambda: coloured("JPEG", progressive=True),
    "jpeg-progressive-of-64-megapixels": _real_progressive,
    "jpeg-20-scans-of-64-megapixels": lambda: jpeg_of_scans(20, components=3),
    "jpeg-100-scans": lambda: jpeg_of_scans(100, side_px=256),
    "jpeg-cmyk": lambda: saved(PIL.Image.fromarray(COLOURS).convert("CMYK"), "JPEG"),
    "jpeg-turned": lambda: turned("JPEG"),
    "jpeg-50-mib-of-comments": lambda: jpeg_with(*[segment(0xFE, b"x" * 65_533)] * 800),
    "jpeg-50-mib-of-photoshop-blocks": lambda: jpeg_with(
        *[segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5000)] * 800
    ),
    "jpeg-broken-exif": lambda: jpeg_with(segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")),
    "jpeg-many-huffman-tables": lambda: jpeg_with(*[segment(0xC4, bytes([0, 1, *[0] * 15, 0]))] * 4000),
    "jpeg-60-mib-of-fill-bytes": lambda: jpeg_with(b"\xff" * (60 * MIB)),
    "jpeg-40-mib-of-restart-markers": lambda: coloured("JPEG")[:-2] + b"\xff\xd0" * (20 * MIB) + b"\xff\xd9",
    "png-grey-16": lambda: _grey16("PNG"),
    "png-turned": lambda: turned("PNG"),
    "png-palette-with-transparency": lambda: saved(
        PIL.Image.fromarray(COLOURS).quantize(16), "PNG", transparency=bytes(range(16))
    ),
    "png-long-compressed-text": lambda: png_with(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2 * MIB)))),
    "png-text-of-60-mib": lambda: png_with(chunk(b"tEXt", b"Comment\0" + b"x" * (60 * MIB))),
    "png-international-text-bomb": lambda: png_with(
        *[chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(bytes(MIB)))] * 100
    ),
    "png-profile-bomb": lambda: png_with(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(64 * MIB)))),
    "png-broken-profile": lambda: png_with(chunk(b"iCCP", b"no profile at all")),
    "png-broken-text-checksum": lambda: png_with(_broken_checksum(b"tEXt")),
    "png-broken-xmp-checksum": lambda: png_with(_broken_checksum(b"iTXt")),
    "png-broken-exif": lambda: png_with(chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff")),
    "png-broken-small-chunks": lambda: png_with(chunk(b"pHYs"), chunk(b"gAMA"), chunk(b"cHRM", b"x"), chunk(b"sRGB")),
    "png-animated": lambda: saved(
        PIL.Image.fromarray(COLOURS), "PNG", save_all=True, append_images=[PIL.Image.fromarray(COLOURS // 2)]
    ),
    "png-60000-empty-chunks": lambda: png_with(chunk(b"IDAT") * 60_000),
    "png-1-bit-of-64-megapixels": lambda: png_of_zeros(SIDE_PX, SIDE_PX, depth=1),
    "png-interlaced-16-bit-of-16-megapixels": lambda: png_of_zeros(4000, 4000, depth=16, colour=6, interlace=1),
    "gif-15-mib-of-comments": lambda: gif_with(b"!\xfe" + (b"\xff" + b"x" * 255) * 60_000 + b"\0"),
    "gif-zeros-between-its-blocks": lambda: gif_with(b"\0\0!\xfe\1x\0\0\0"),
    "gif-frame-beyond-its-screen": lambda: coloured("GIF").replace(
        struct.pack("<HH", _COLUMNS, _ROWS), struct.pack("<HH", 9, 9), 1
    ),
    "webp-turned": lambda: turned("WEBP", lossless=True),
    "webp-30-mib-of-profile": lambda: webp_with(b"ICCP", 30 * MIB),
    "webp-30-mib-of-xmp": lambda: webp_with(b"XMP ", 30 * MIB),
    "webp-broken-exif": lambda: webp_with(b"EXIF", 40),
    "webp-200-frames": lambda: webp_frames(200),
    "bmp-2-mib-of-runs": lambda: bmp_of_runs(1000, (b"\1\5" * 1000 + b"\0\0") * 1000 + b"\0\1"),
    "tiff-grey-16": lambda: _grey16("TIFF"),
    "tiff-turned": lambda: turned("TIFF"),
    "tiff-signed-bytes": lambda: tiff_values("i1", 2),
    "tiff-colours-16": lambda: tiff_values("<u2", 1, samples=3, photometric=2),
    "tiff-20-mib-of-description": lambda: tiff(
        [
            *((256, "I", [8]), (257, "I", [4]), (258, "I", [8]), (262, "I", [1]), (270, "B", bytes(20 * MIB))),
            *((273, "I", [AT]), (278, "I", [4]), (279, "I", [32])),
        ],
        bytes(32),
    ),
    "tiff-a-strip-a-row": lambda: tiff_of_strips((1000, 60_000), 1, bytes(1000)),
    "tiff-65536-tiles": lambda: tiff_of_tiles((4096, 4096), (16, 16), bytes(256)),
    "tiff-big": lambda: coloured("TIFF", big_tiff=True),
    "pgm-grey-16": lambda: _grey16("PPM"),
    "pgm-10-bit": lambda: b"P5 8 2 1023\n" + (np.arange(16) * 68).astype(">u2").tobytes(),
    "ppm-with-comments": lambda: b"P6\n# a\n64 # b\n48\n255\n" + COLOURS.tobytes(),
    "pbm": lambda: saved(PIL.Image.fromarray(GREY).convert("1"), "PPM"),
}

ODD_IMAGES = tuple(
    OddImage(name, make, error)
    for table, error in ((_TOO_LARGE, ImageTooLarge), (_INVALID, InvalidImage), (_PICTURES, None))
    for name, make in table.items()
)
