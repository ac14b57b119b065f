"""Texts of clients and of weights end up as nothing but texts."""

import csv
import io
import zipfile
from xml.etree import ElementTree

import pytest

from serve_app.formats import FORMATS, Answer
from serve_app.formats.file_names import EntryNames, base_name, cell, plain
from tests.serve_app.formats.sample_answers import answer, answer_with_label, detections

HOSTILE = [
    "../../etc/passwd",
    r"..\..\windows\system32\config",
    "C:\\temp\\frame.jpg",
    "a\0b\r\nc.jpg",
    "\u202egpj.exe",
    "=cmd|' /C calc'!A0.jpg",
    "+1.jpg",
    "-1.jpg",
    "@SUM(A1).jpg",
    "",
    ".",
    "..",
    "/",
    "lone \udc80 surrogate.png",
    ']]><x a="&">.png',
    'quote".png',
    "comma, and more.png",
    "x" * 5000 + ".jpg",
]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("frame.jpg", "frame.jpg"),
        ("dive 3  frame.jpg", "dive 3  frame.jpg"),
        ("Quallen-äöü-海月.png", "Quallen-äöü-海月.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\frame.jpg", "frame.jpg"),
        ("a\0b\r\nc.jpg", "a_b__c.jpg"),
        ("..", "image-7.jpg"),
        ("folder/", "image-7.jpg"),
        (".hidden.png", ".hidden.png"),
    ],
)
def test_of_a_clients_path_the_name_is_kept(sent: str, kept: str) -> None:
    assert base_name(sent, 7) == kept


def test_a_long_name_keeps_its_ending() -> None:
    assert base_name("x" * 5000 + ".jpg", 1) == "x" * 196 + ".jpg"


@pytest.mark.parametrize(
    ("text", "written"),
    [("=1+1", "'=1+1"), ("@x", "'@x"), ("\t=1+1", "'=1+1"), ("Crab", "Crab"), ("two\nlines\r", "two lines")],
)
def test_a_cell_is_never_a_formula(text: str, written: str) -> None:
    assert cell(text) == written


def test_entries_of_a_zip_have_names_of_their_own() -> None:
    names = EntryNames()
    given = [
        names.next_after(one, "xml") for one in ("a.jpg", "a.png", "A.jpg", "b:c?.jpg", ".jpg", "a-2.jpg", "...")
    ]
    assert given == ["a.xml", "a-2.xml", "A-3.xml", "b_c_.xml", "jpg.xml", "a-2-2.xml", "image.xml"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("file_name", HOSTILE, ids=lambda text: repr(text[:12]))
def test_every_format_survives_every_file_name(name: str, file_name: str) -> None:
    written = FORMATS[name].write([answer(detections(), file_name), answer(detections(), file_name)])
    if written.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(written)) as archive:
            entries = archive.namelist()
            assert archive.testzip() is None
        assert len({one.casefold() for one in entries}) == len(entries)
        assert not any(set('/\\:*?"<>|\0\r\n') & set(one) or one.startswith(".") for one in entries)


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"picture", "picture-png"}))
@pytest.mark.parametrize("label", HOSTILE, ids=lambda text: repr(text[:12]))
def test_every_format_survives_every_label(name: str, label: str) -> None:
    FORMATS[name].write([answer_with_label(label)])


@pytest.mark.parametrize("name", ["fathomnet-csv", "viame-csv"])
@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_no_table_has_a_formula_or_a_row_too_many(name: str, text: str) -> None:
    one = answer_with_label(text)
    written = FORMATS[name].write([Answer(text, one.prediction, None)]).decode()
    rows = list(csv.reader(io.StringIO(written)))
    assert len(rows) == 2
    assert [value for value in rows[1] if value.startswith(("=", "+", "@", "\t", "-")) and value != "-1"] == []


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:12]))
def test_xml_holds_the_texts_as_texts(text: str) -> None:
    one = answer_with_label(text)
    root = ElementTree.fromstring(FORMATS["voc"].write([Answer(text, one.prediction, None)]))
    assert root.findtext("object/name") == (plain(text) or "unnamed")
    assert root.findtext("filename") == base_name(text, 1)
    assert {child.tag for child in root} == {"folder", "filename", "source", "size", "segmented", "object"}
