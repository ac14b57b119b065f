"""Pascal VOC: one XML file for each image.

Source: the devkit of the PASCAL VOC challenge. The pixels of an image are counted from 1, and a box includes its last
ones: xmin = x + 1, xmax = x + width.
"""

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from serve_app.formats.archive import zipped
from serve_app.formats.boxes import Found, ImageRows, image_rows
from serve_app.formats.contract import Answer, within_limit
from serve_app.formats.file_names import EntryNames


def write_voc(answers: Sequence[Answer]) -> bytes:
    """The XML for one image; a zip of them for several, named as the images are."""
    images = list(image_rows(answers, "voc"))
    if len(images) == 1:
        return within_limit(_document(images[0]))
    names = EntryNames()
    return zipped((names.next_after(image.file_name, "xml"), _document(image)) for image in images)


def _document(image: ImageRows) -> bytes:
    root = ElementTree.Element("annotation")
    _texts(root, {"folder": "", "filename": image.file_name})
    _texts(ElementTree.SubElement(root, "source"), {"database": "Unknown", "annotation": image.by})
    size = {"width": image.width_px, "height": image.height_px, "depth": 3}
    _texts(ElementTree.SubElement(root, "size"), size)
    _texts(root, {"segmented": 0})
    for found in image.found:
        _object(root, found)
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, "utf-8", xml_declaration=True))


def _object(root: ElementTree.Element, found: Found) -> None:
    one = ElementTree.SubElement(root, "object")
    _texts(one, {"name": found.label, "pose": "Unspecified", "truncated": 0, "difficult": 0})
    x1, y1, x2, y2 = found.whole_px
    _texts(ElementTree.SubElement(one, "bndbox"), {"xmin": x1 + 1, "ymin": y1 + 1, "xmax": x2, "ymax": y2})
    _texts(one, {"score": found.score})


def _texts(parent: ElementTree.Element, values: Mapping[str, str | int | float]) -> None:
    for name, value in values.items():
        ElementTree.SubElement(parent, name).text = str(value)
