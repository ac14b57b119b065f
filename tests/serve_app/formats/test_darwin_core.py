"""The Darwin Core Archive, read back by python-dwca-reader."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from dwca.read import DwCAReader

from deployments.classes.taxa import Taxon
from serve_app.formats import FORMATS, Answer
from tests.serve_app.formats.sample_answers import LABELS, answer, classes, detections, nothing, samples

DWC = "http://rs.tdwg.org/dwc/terms/"
AC = "http://rs.tdwg.org/ac/terms/"
DCTERMS = "http://purl.org/dc/terms/"
IDENTIFIER, IS_ROI_OF = f"{DCTERMS}identifier", f"{AC}isROIOf"


def read(folder: Path, answers: list[Answer]) -> list[Any]:
    """The core rows, each with its rows of the extension."""
    path = folder / "archive.zip"
    path.write_bytes(FORMATS["dwc"].write(answers))
    with DwCAReader(str(path)) as archive:
        assert archive.core_contains_term(f"{DWC}scientificName")
        assert archive.descriptor.core.type == f"{DWC}Occurrence"
        assert [one.type for one in archive.descriptor.extensions] == [f"{AC}Multimedia"]
        rows = archive.rows
        for row in rows:
            assert [one.core_id for one in row.extensions] == [row.id] * len(row.extensions)
        return list(rows)


def test_an_occurrence_for_each_animal(tmp_path: Path) -> None:
    rows = read(tmp_path, samples())
    assert [row.data[f"{DWC}scientificName"] for row in rows] == list(LABELS) * 2
    assert len({row.id for row in rows}) == 6
    first = rows[0].data
    assert first[f"{DWC}occurrenceID"] == rows[0].id
    assert rows[0].id.startswith("urn:uuid:")
    assert first[f"{DWC}basisOfRecord"] == "MachineObservation"
    assert first[f"{DWC}occurrenceStatus"] == "present"
    assert first[f"{DWC}identifiedBy"] == "benthic-demo revision 3"
    assert first[f"{DWC}identificationRemarks"] == "score 0.91 of an automatic identification"


def test_each_has_its_image_and_its_region_of_it(tmp_path: Path) -> None:
    media, region = (one.data for one in read(tmp_path, samples())[0].extensions)
    assert media[f"{DCTERMS}title"] == "frame-1.png"
    assert media["http://ns.adobe.com/exif/1.0/PixelXDimension"] == "200"
    assert media["http://ns.adobe.com/exif/1.0/PixelYDimension"] == "120"
    assert media[IS_ROI_OF] == ""
    assert region[IS_ROI_OF] == media[IDENTIFIER]
    assert region[IDENTIFIER] != media[IDENTIFIER]
    parts = [float(region[AC + name]) for name in ("xFrac", "yFrac", "widthFrac", "heightFrac")]
    assert parts == pytest.approx([10.4 / 200, 20.6 / 120, 49.8 / 200, 60.3 / 120], abs=1e-5)


def test_animals_of_one_image_share_it(tmp_path: Path) -> None:
    images = [row.extensions[0].data[IDENTIFIER] for row in read(tmp_path, samples())]
    assert len(set(images[:3])) == len(set(images[3:])) == 1
    assert len(set(images)) == 2


def test_the_same_image_twice_is_two_images(tmp_path: Path) -> None:
    rows = read(tmp_path, [answer(detections()), answer(detections())])
    assert len({row.id for row in rows}) == 6


def test_a_classifier_gives_its_best_class_and_no_region(tmp_path: Path) -> None:
    (row,) = read(tmp_path, [answer(classes())])
    assert row.data[f"{DWC}scientificName"] == "Diatom"
    (media,) = row.extensions
    assert media.data[f"{AC}xFrac"] == ""


def test_a_label_is_the_taxon_that_the_models_table_says(tmp_path: Path) -> None:
    asterias = Taxon(
        scientific_name="Asterias rubens",
        aphia_id=123776,
        rank="species",
        higher={"phylum": "Echinodermata", "class": "Asteroidea"},
    )
    with_table = replace(answer(detections()), taxa={"Sea star": asterias})
    first, second, _ = (row.data for row in read(tmp_path, [with_table]))
    assert first[f"{DWC}scientificName"] == "Asterias rubens"
    assert first[f"{DWC}scientificNameID"] == "urn:lsid:marinespecies.org:taxname:123776"
    assert first[f"{DWC}taxonRank"] == "species"
    assert (first[f"{DWC}phylum"], first[f"{DWC}class"]) == ("Echinodermata", "Asteroidea")
    assert first[f"{DWC}verbatimIdentification"] == "Sea star"
    assert second[f"{DWC}scientificName"] == second[f"{DWC}verbatimIdentification"] == LABELS[1]
    assert second[f"{DWC}scientificNameID"] == second[f"{DWC}taxonRank"] == second[f"{DWC}genus"] == ""
    best = replace(answer(classes()), taxa={"Diatom": Taxon(scientific_name="Bacillariophyceae")})
    assert read(tmp_path, [best])[0].data[f"{DWC}scientificName"] == "Bacillariophyceae"


def test_a_frame_without_animals_is_an_archive_without_rows(tmp_path: Path) -> None:
    assert read(tmp_path, [answer(nothing())]) == []


def test_the_archive_is_the_same_each_time_and_says_what_every_column_is() -> None:
    written = FORMATS["dwc"].write(samples())
    assert written == FORMATS["dwc"].write(samples())
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        assert archive.namelist() == ["meta.xml", "occurrence.csv", "audiovisual.csv"]
        meta = ElementTree.fromstring(archive.read("meta.xml"))
        spaces = {"": "http://rs.tdwg.org/dwc/text/"}
        for kind, name in (("core", "occurrence.csv"), ("extension", "audiovisual.csv")):
            fields = [one.get("index") for one in meta.findall(f"{kind}/field", spaces)]
            header = archive.read(name).decode().splitlines()[0].split(",")
            assert int(fields[-1] or 0) == len(header) - 1
