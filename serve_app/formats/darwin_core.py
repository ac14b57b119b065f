"""A Darwin Core Archive: an occurrence for each animal, with its image and its region of that image.

    meta.xml         what is in the tables
    occurrence.csv   the core: one row for each detection, or for the best class of an image
    audiovisual.csv  the extension Audiovisual Core: for each occurrence its image and, for a detection, its region

Sources: https://dwc.tdwg.org/text, https://ac.tdwg.org/termlist (xFrac, yFrac, widthFrac, heightFrac, isROIOf),
GBIF's extension https://rs.gbif.org/extension/ac. Where and when an image was taken is not known here; who publishes
the archive adds it, with the metadata of the data set (eml.xml).
"""

import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple, get_args
from xml.etree import ElementTree

import numpy as np

from deployments.classes.taxa import HigherRank, Taxon
from deployments.prediction import ClassScores
from serve_app.formats.archive import zipped
from serve_app.formats.boxes import PART_DIGITS, SCORE_DIGITS, image_rows, label_of, made_by
from serve_app.formats.contract import Answer
from serve_app.formats.file_names import base_name, cell
from serve_app.formats.tables import Cell, table

NAME = "dwc"
OCCURRENCES = "occurrence.csv"
MEDIA = "audiovisual.csv"

_DWC = "http://rs.tdwg.org/dwc/terms/"
_AC = "http://rs.tdwg.org/ac/terms/"
_DC = "http://purl.org/dc/elements/1.1/"
_DCTERMS = "http://purl.org/dc/terms/"
_EXIF = "http://ns.adobe.com/exif/1.0/"
_TEXT = "http://rs.tdwg.org/dwc/text/"

OCCURRENCE_TERMS = [
    f"{_DWC}{name}"
    for name in (
        "occurrenceID",
        "basisOfRecord",
        "occurrenceStatus",
        "scientificName",
        "scientificNameID",
        "taxonRank",
        *get_args(HigherRank),
        "verbatimIdentification",
        "identifiedBy",
        "identificationVerificationStatus",
        "identificationRemarks",
    )
]

MEDIA_TERMS = [
    f"{_DCTERMS}identifier",
    f"{_DC}type",
    f"{_DCTERMS}title",
    f"{_EXIF}PixelXDimension",
    f"{_EXIF}PixelYDimension",
    f"{_AC}isROIOf",
    f"{_AC}xFrac",
    f"{_AC}yFrac",
    f"{_AC}widthFrac",
    f"{_AC}heightFrac",
]

_OURS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:fathomnet-serve")
"""Where identifiers come from that are the same whenever the same answers are written."""


class _Animal(NamedTuple):
    """What one occurrence says. taxon: what the label is, where the model's definition has it. region: x, y, width,
    height as parts of the image; None for all of it."""

    label: str
    taxon: Taxon | None
    score: float
    region: list[float] | None


class _Image(NamedTuple):
    """number: its place in the request, from 1. size_px: height, width."""

    number: int
    file_name: str
    size_px: tuple[int, int]
    by: str
    animals: list[_Animal]


def write_darwin_core(answers: Sequence[Answer]) -> bytes:
    """The archive, a zip. Raises InvalidRequest for embeddings."""
    occurrences: list[Sequence[Cell]] = [_names(OCCURRENCE_TERMS)]
    media: list[Sequence[Cell]] = [["occurrenceID", *_names(MEDIA_TERMS)]]
    for number, answer in enumerate(answers, 1):
        image = _image(number, answer)
        identifier = _urn(repr(image))
        for place, animal in enumerate(image.animals, 1):
            occurrence = _urn(f"{identifier} {place}")
            occurrences.append(_occurrence(occurrence, image, animal))
            media += _media(occurrence, identifier, image, animal)
    return zipped([("meta.xml", _meta()), (OCCURRENCES, table(occurrences)), (MEDIA, table(media))])


def _image(number: int, answer: Answer) -> _Image:
    prediction, result = answer.prediction, answer.prediction.result
    if isinstance(result, ClassScores):
        best = int(np.argmax(result.scores))
        label, score = result.labels[best], round(float(result.scores[best]), SCORE_DIGITS)
        animals = [_Animal(label_of(label), answer.taxa.get(label), score, None)]
    else:
        (rows,) = image_rows([answer], NAME)
        taxa = [answer.taxa.get(label) for label in rows.detections.labels]
        animals = [_Animal(one.label, taxa[one.row], one.score, one.parts.span(PART_DIGITS)) for one in rows.found]
    file_name = base_name(answer.file_name, number)
    return _Image(number, file_name, prediction.image_size_px, made_by(answer), animals)


def _occurrence(identifier: str, image: _Image, animal: _Animal) -> Sequence[Cell]:
    return [
        identifier,
        "MachineObservation",
        "present",
        *_taxon(animal),
        cell(animal.label),
        cell(image.by),
        "unverified",
        f"score {animal.score} of an automatic identification",
    ]


def _taxon(animal: _Animal) -> Iterator[str]:
    """scientificName to genus. Without a table the label stands for the name."""
    taxon = animal.taxon
    if taxon is None:
        yield cell(animal.label)
        yield from [""] * (2 + len(get_args(HigherRank)))
        return
    yield cell(taxon.scientific_name)
    yield taxon.identifier
    yield cell(taxon.rank or "")
    yield from (cell(taxon.higher.get(rank, "")) for rank in get_args(HigherRank))


def _media(occurrence: str, identifier: str, image: _Image, animal: _Animal) -> list[Sequence[Cell]]:
    """The row of the image and, below it, that of the region."""
    height, width = image.size_px
    name = cell(image.file_name)
    rows: list[Sequence[Cell]] = [[occurrence, identifier, "StillImage", name, width, height, "", "", "", "", ""]]
    if animal.region is not None:
        region = _urn(f"{occurrence} region")
        rows.append([occurrence, region, "StillImage", name, "", "", identifier, *animal.region])
    return rows


def _meta() -> bytes:
    """What the tables hold, column by column."""
    archive = ElementTree.Element("archive", {"xmlns": _TEXT})
    core = _table(archive, "core", f"{_DWC}Occurrence", OCCURRENCES)
    ElementTree.SubElement(core, "id", {"index": "0"})
    _fields(core, OCCURRENCE_TERMS, 0)
    extension = _table(archive, "extension", f"{_AC}Multimedia", MEDIA)
    ElementTree.SubElement(extension, "coreid", {"index": "0"})
    _fields(extension, MEDIA_TERMS, 1)
    ElementTree.indent(archive)
    return bytes(ElementTree.tostring(archive, "utf-8", xml_declaration=True))


def _table(archive: ElementTree.Element, kind: str, row_type: str, file_name: str) -> ElementTree.Element:
    reading = {
        "encoding": "UTF-8",
        "fieldsTerminatedBy": ",",
        "linesTerminatedBy": r"\n",
        "fieldsEnclosedBy": '"',
        "ignoreHeaderLines": "1",
    }
    one = ElementTree.SubElement(archive, kind, {**reading, "rowType": row_type})
    ElementTree.SubElement(ElementTree.SubElement(one, "files"), "location").text = file_name
    return one


def _fields(parent: ElementTree.Element, terms: Sequence[str], first: int) -> None:
    for index, term in enumerate(terms, first):
        ElementTree.SubElement(parent, "field", {"index": str(index), "term": term})


def _names(terms: Sequence[str]) -> list[str]:
    return [term.rsplit("/", 1)[-1] for term in terms]


def _urn(text: str) -> str:
    return uuid.uuid5(_OURS, text).urn
