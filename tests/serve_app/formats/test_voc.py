"""Pascal VOC, read back with the standard library, by the rules of the devkit."""

import io
import zipfile
from xml.etree import ElementTree

from serve_app.formats import FORMATS
from tests.serve_app.formats.sample_answers import LABELS, answer, detections, samples


def boxes(root: ElementTree.Element) -> list[list[int]]:
    """x1, y1, x2, y2 from 0, the last two exclusive."""
    names = ("xmin", "ymin", "xmax", "ymax")
    found = [[int(one.findtext(f"bndbox/{name}") or "") for name in names] for one in root.iter("object")]
    return [[xmin - 1, ymin - 1, xmax, ymax] for xmin, ymin, xmax, ymax in found]


def test_one_image_is_one_document() -> None:
    root = ElementTree.fromstring(FORMATS["voc"].write([answer(detections())]))
    assert root.tag == "annotation"
    assert root.findtext("filename") == "frame-1.png"
    assert [root.findtext(f"size/{name}") for name in ("width", "height", "depth")] == ["200", "120", "3"]
    assert [one.findtext("name") for one in root.iter("object")] == list(LABELS)
    assert boxes(root) == [[10, 21, 60, 81], [100, 5, 200, 120], [150, 30, 151, 31]]


def test_pixels_are_counted_from_one() -> None:
    root = ElementTree.fromstring(FORMATS["voc"].write([answer(detections())]))
    second = root.findall("object")[1]
    assert [second.findtext(f"bndbox/{name}") for name in ("xmin", "ymin", "xmax", "ymax")] == [
        "101",
        "6",
        "200",
        "120",
    ]


def test_several_images_are_a_zip_with_a_document_each() -> None:
    with zipfile.ZipFile(io.BytesIO(FORMATS["voc"].write(samples()))) as archive:
        assert archive.namelist() == ["frame-1.xml", "frame-2.xml", "frame-3.xml"]
        counts = [len(boxes(ElementTree.fromstring(archive.read(name)))) for name in archive.namelist()]
    assert counts == [3, 0, 3]


def test_the_same_answers_are_the_same_bytes() -> None:
    assert FORMATS["voc"].write(samples()) == FORMATS["voc"].write(samples())
