"""Pictures are what they are called."""

import io

import PIL.Image
import pytest

from benchmarks.sample_images import LARGE_BYTES, sample_image


@pytest.mark.parametrize(
    ("name", "kind", "size_px"),
    [("64px", "PNG", (64, 64)), ("720p", "JPEG", (720, 1280)), ("4mb", "PNG", (1080, 1920))],
)
def test_pictures_are_what_they_are_called(name: str, kind: str, size_px: tuple[int, int]) -> None:
    drawn = sample_image(name)
    with PIL.Image.open(io.BytesIO(drawn.upload.content)) as image:
        assert image.format == kind
        assert (image.height, image.width) == size_px == drawn.size_px
    assert drawn.pixels().shape == (*size_px, 3)
    if name == "4mb":
        assert len(drawn.upload.content) == pytest.approx(LARGE_BYTES, rel=0.1)
