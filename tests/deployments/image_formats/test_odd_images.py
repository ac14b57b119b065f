"""No file holds a decoder for longer than is stated, whatever is in it, and each gets its right answer."""

import time

import pytest

from deployments.errors import ServingError
from deployments.images import ImageLimits, to_pixels
from deployments.request import Image
from tests.support.odd_images import ODD_IMAGES, OddImage

REFUSED_WITHIN_CPU_S = 5.0
"""Half of what a picture may take; nearly all are refused within milliseconds."""


@pytest.mark.parametrize("odd", ODD_IMAGES, ids=lambda odd: odd.name)
def test_an_odd_file_has_its_right_answer_within_the_stated_time(odd: OddImage) -> None:
    image = Image.from_encoded(odd.make())
    error: ServingError | None = None
    started_s = time.thread_time()
    try:
        pixels = to_pixels(image)
    except ServingError as raised:
        error = raised
    spent_s = time.thread_time() - started_s
    if odd.error is None:
        assert error is None
        assert pixels.shape[2] == 3
    else:
        assert type(error) is odd.error
        assert "object at" not in error.message
    assert spent_s < (REFUSED_WITHIN_CPU_S if odd.error else ImageLimits().max_decode_cpu_s)
