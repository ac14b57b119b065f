"""Makes `field_readers.json`: what programs that are too heavy for our tests read in the files that we write.

    python -m tests.serve_app.formats.sample_answers FOLDER        in the environment of the tests
    python tests/serve_app/formats/read_by_field_readers.py FOLDER  in one with the packages below

    pip install megadetector==10.0.28 supervision==0.31.2 kwcoco==0.9.1 "pydantic<2" pymongo  (brings PyTorch)
    git clone https://github.com/Kitware/dive; git -C dive checkout 8c73200; export PYTHONPATH=dive/server

For each file its digest, so that a test notices when a file is no longer the one that was read, and what was read.
"""

import hashlib
import json
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from types import ModuleType

RECORD = Path(__file__).with_name("field_readers.json")


def digest(path):
    """SHA-256 of a file; of a zip, of what is in it, as compression differs between machines."""
    if path.suffix != ".zip":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with zipfile.ZipFile(path) as archive:
        content = b"".join(name.encode() + b"\0" + archive.read(name) for name in archive.namelist())
    return hashlib.sha256(content).hexdigest()


def by_megadetector(path):
    """Its validator's errors, and each detection as its loader gives it."""
    from megadetector.postprocessing.load_api_results import load_api_results
    from megadetector.postprocessing.validate_batch_results import validate_batch_results

    results = validate_batch_results(str(path))["validation_results"]
    table, _ = load_api_results(str(path))
    rows = [[row["file"], round(row["max_detection_conf"], 5), row["detections"]] for _, row in table.iterrows()]
    return {"errors": results["errors"], "warnings": results["warnings"], "images": rows}


def rows_of(dataset):
    """File -> label and corners of each box, as supervision has them."""
    return {
        Path(path).name: [
            [dataset.classes[number], [round(float(side), 3) for side in box]]
            for number, box in zip(found.class_id.tolist(), found.xyxy, strict=True)
        ]
        for path, _, found in dataset
    }


def by_supervision_voc(path):
    import supervision

    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(path).extractall(folder)
        return rows_of(supervision.DetectionDataset.from_pascal_voc(str(path.parent), folder))


def by_supervision_coco(path):
    import supervision

    with tempfile.TemporaryDirectory() as folder:
        for image in path.parent.glob("*.png"):
            shutil.copy(image, folder)
        return rows_of(supervision.DetectionDataset.from_coco(folder, str(path), force_masks="masks" in path.name))


def by_kwcoco(path):
    """What its validation finds, and the names of all boxes."""
    import kwcoco

    dataset = kwcoco.CocoDataset(str(path))
    found = dataset.validate(missing=False, verbose=0)
    names = [dataset.cats[one["category_id"]]["name"] for one in dataset.anns.values()]
    return {"errors": [str(one) for one in found["errors"]], "names": names}


def by_dive(path):
    """Each track: frame, labels with scores, whole pixels of the box, kinds of shapes."""
    # Only the part of DIVE's server that talks HTTP needs Girder.
    sys.modules.update({name: ModuleType(name) for name in ("girder", "girder.api", "girder.api.rest")})
    sys.modules["girder.api.rest"].setResponseHeader = None
    from dive_utils.serializers.viame import load_csv_as_tracks_and_attributes

    annotations, _, warnings, *_ = load_csv_as_tracks_and_attributes(path.read_text().splitlines())
    tracks = []
    for track in annotations["tracks"].values():
        (feature,) = track["features"]
        shapes = [one["geometry"]["type"] for one in (feature.get("geometry") or {"features": []})["features"]]
        tracks.append([feature["frame"], track["confidencePairs"], feature["bounds"], shapes])
    return {"warnings": warnings, "tracks": tracks}


READERS = [
    ("megadetector", "megadetector.json", by_megadetector),
    ("megadetector", "megadetector-classes.json", by_megadetector),
    ("supervision", "voc.zip", by_supervision_voc),
    ("supervision", "coco-dataset.json", by_supervision_coco),
    ("supervision", "coco-dataset-masks.json", by_supervision_coco),
    ("dive", "viame.csv", by_dive),
    ("kwcoco", "coco-dataset.json", by_kwcoco),
    ("kwcoco", "coco-dataset-masks.json", by_kwcoco),
]


def main(folder):
    read = [
        {
            "reader": reader,
            "file": name,
            "sha256": digest(folder / name),
            "read": function(folder / name),
        }
        for reader, name, function in READERS
    ]
    RECORD.write_text(json.dumps(read, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
