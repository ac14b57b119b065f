"""Small files that are odd, damaged or hostile, and what a right answer to each is: `ODD_IMAGES`, a table.

For tests through any door: `for odd in ODD_IMAGES: content = odd.make()`, which is made anew each time, in at most a
second; `odd.error` is the type of error that is right, None where the file is a picture. No file is larger than
64 MiB, and only those that say so are larger than a few megabytes. Nothing here is a picture of anybody.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import PIL.Image

from deployments.errors import ImageTooLarge, InvalidImage, ServingError
from tests.support.odd_files import (
    AT,
    COLOURS,
    GREY,
    MIB,
    SIDE_PX,
    bmp_of_runs,
    chunk,
    coloured,
    gif_frame,
    gif_with,
    jpeg_of_scans,
    jpeg_with,
    png_of_zeros,
    png_with,
    saved,
    segment,
    tiff,
    tiff_of_strips,
    tiff_of_tiles,
    tiff_values,
    turned,
    webp_canvas,
    webp_frames,
    webp_with,
)


@dataclass(frozen=True, slots=True)
class OddImage:
    """error: the type of the right answer, None for a picture."""

    name: str
    make: Callable[[], bytes]
    error: type[ServingError] | None


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
    "jpeg-60-mib-of-fill-bytes": lambda: jpeg_with(b"\xff" * (60 * MIB)),
    "jpeg-60-mib-of-junk": lambda: jpeg_with(b"\xff\0" * (30 * MIB)),
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
    "gif-20-million-empty-extensions": lambda: gif_with(b"!\xfe\0" * (20 * MIB)),
    "gif-63-mib-of-zeros-before-its-frame": lambda: gif_with(bytes(63 * MIB)),
    "gif-8-million-controls": lambda: gif_with(b"!\xf9\4\1\0\0\0\0" * (7 * MIB)),
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
    "jpeg-fill-bytes": lambda: jpeg_with(b"\xff" * 1000),
    "jpeg-60-mib-of-zeros-in-a-scan": lambda: (
        coloured("JPEG", progressive=True)[:-2] + b"\xff\0" * (30 * MIB) + b"\xff\xd9"
    ),
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
        struct.pack("<HH", 64, 48), struct.pack("<HH", 9, 9), 1
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
