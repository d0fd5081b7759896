"""The formats of exports: what a version's images become, as chunks of bytes."""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from itertools import chain
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import quote

from contract.datasets import Label, Split
from contract.revisions import ExportFormat
from media.archives.zip_stream import ZipStream
from services.gateway.exports.predictions import Predictions
from services.gateway.exports.version_images import NamedImage, VersionImages

_LINES = 256  # of a text, in a chunk

Chunks = Generator[bytes, None, None]


class Extras(NamedTuple):
    """What Label Studio also gets: what comes before the names of images in their addresses, and answers of a model."""

    root: str = ""
    predictions: Predictions | None = None


class Format(NamedTuple):
    """How a format is sent."""

    media_type: str
    extension: str
    write: Callable[[VersionImages, Extras], Chunks]


def imagefolder(version: VersionImages, _extras: Extras) -> Chunks:
    """Yield a zip of `split/class/file`, as PyTorch's ImageFolder and Tidepool read it."""
    with tempfile.TemporaryFile() as directory, closing(version.files()) as files:
        archive = ZipStream(directory)
        for image, data in files:
            yield archive.entry(image.file, data)
        yield from archive.end()


def coco(version: VersionImages, _extras: Extras) -> Chunks:
    """Yield a zip of `images/split/class/file` and, for each split, `annotations/labels_split.json`.

    An annotation has an image and a category, without a box: COCO's classification, which Datumaro calls `coco_labels`.
    Ids count from 1.
    """
    with tempfile.TemporaryFile() as directory, closing(version.files()) as files:
        archive = ZipStream(directory)
        for image, data in files:
            yield archive.entry(f"images/{image.file}", data)
        for split in Split:
            with tempfile.TemporaryFile() as document:
                for line in _coco_document(version, split):
                    document.write(line.encode())
                yield from archive.stored(f"annotations/labels_{split}.json", document)
        yield from archive.end()


def _coco_document(version: VersionImages, split: Split) -> Iterator[str]:
    categories = {label: number for number, label in enumerate(version.manifest.classes, start=1)}
    named = [{"id": number, "name": label, "supercategory": ""} for label, number in categories.items()]
    info = {"description": str(version.reference), "version": str(version.reference.version)}
    yield f'{{"info": {_json(info)}, "licenses": [], "categories": {_json(named)}, "images": ['
    yield from _listed(_coco_image(number, image) for number, image in _of_split(version, split))
    yield '], "annotations": ['
    yield from _listed(
        {"id": number, "image_id": number, "category_id": categories[image.label]}
        for number, image in _of_split(version, split)
    )
    yield "]}\n"


def _coco_image(number: int, image: NamedImage) -> dict[str, Any]:
    name = str(PurePosixPath(*PurePosixPath(image.file).parts[1:]))
    return {"id": number, "width": image.width, "height": image.height, "file_name": name, "license": 0}


def _of_split(version: VersionImages, split: Split) -> Iterator[tuple[int, NamedImage]]:
    return enumerate((image for image in version.images() if image.split == split.value), start=1)


def table(version: VersionImages, _extras: Extras) -> Chunks:
    """Yield a CSV file with a row for each image; `file` is its name in the zip of folders."""
    fields = ("path", "split", "label", "sha256", "width", "height", "file")
    rows = ([getattr(image, field) for field in fields] for image in version.images())
    yield from _chunks(_csv_lines(chain([list(fields)], rows)))


def _csv_lines(rows: Iterator[list[Any]]) -> Iterator[str]:
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow(row)
        yield line.getvalue()


def label_studio(version: VersionImages, extras: Extras) -> Chunks:
    """Yield a JSON list of Label Studio's tasks, each with the label as an annotation with choices.

    The labelling interface is `<Image name="image" value="$image"/>` and `<Choices name="label" toName="image">`.
    """
    yield b"["
    yield from _chunks(_listed(_task(image, extras) for image in version.images()))
    yield b"]\n"


def _task(image: NamedImage, extras: Extras) -> dict[str, Any]:
    # an address is encoded, the key of an object is not
    file = quote(image.file) if extras.root.startswith(("/", "http:", "https:")) else image.file
    data = {"image": f"{extras.root}{file}", "sha256": image.sha256, "split": image.split, "path": image.path}
    annotation = {"result": [choice(image.label)], "was_cancelled": False, "ground_truth": False}
    predictions: list[dict[str, Any]] = []
    if extras.predictions is not None and (answer := extras.predictions.of(image.sha256)) is not None:
        result = [choice(answer.label)]
        predictions = [{"model_version": extras.predictions.model, "score": answer.score, "result": result}]
    return {"id": image.number + 1, "data": data, "annotations": [annotation], "predictions": predictions}


def choice(label: Label) -> dict[str, Any]:
    """Return the result of a `Choices` tag."""
    return {"from_name": "label", "to_name": "image", "type": "choices", "value": {"choices": [label]}}


def _listed(items: Iterator[dict[str, Any]]) -> Iterator[str]:
    for number, item in enumerate(items):
        yield f"{',' if number else ''}\n{_json(item)}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _chunks(lines: Iterator[str]) -> Iterator[bytes]:
    waiting: list[str] = []
    for line in lines:
        waiting.append(line)
        if len(waiting) == _LINES:
            yield "".join(waiting).encode()
            waiting = []
    yield "".join(waiting).encode()


FORMATS: dict[ExportFormat, Format] = {
    "coco": Format("application/zip", "coco.zip", coco),
    "imagefolder": Format("application/zip", "zip", imagefolder),
    "csv": Format("text/csv", "csv", table),
    "labelstudio": Format("application/json", "labelstudio.json", label_studio),
}
