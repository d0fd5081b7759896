"""A file of labels relabels the images that it names, and what is exported for Label Studio comes back."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from contract.access import DEFAULT_PROJECT
from contract.jobs import JobState
from contract.references import Reference
from media.image_index import read_index
from services.gateway.exports.formats import FORMATS, Extras
from services.gateway.exports.version_images import VersionImages
from services.gateway.images.index_cache import IndexCache
from services.gateway.images.library import Library
from services.preprocess import label_files
from services.preprocess.label_changes import candidates
from services.storage.stores import Stores
from tests.support.erasures import sha256_of, upload
from tests.support.images import png
from tests.support.label_studio import annotated, annotation, choices, completed, min_row
from tests.support.revisions import FILES, Revisions

NAME = "train/cat/1.png"
HASH = sha256_of(FILES[NAME])


def sent(stores: Stores, folder: Path, document: Any) -> dict[str, str]:
    """Upload a file of labels."""
    path = folder / "labels.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return {"upload": upload(stores, path)}


def labels(stores: Stores, revisions: Revisions, version: str) -> dict[str, str]:
    index = read_index(io.BytesIO(stores.objects.read(revisions.manifest(version).index)))  # type: ignore[arg-type]
    return {row["path"]: row["label"] for row in index.to_pylist()}


def exported(stores: Stores, reference: str, form: Any = "labelstudio") -> bytes:
    library = Library(stores.of(DEFAULT_PROJECT), stores.objects, IndexCache(stores.objects, 1 << 20))
    pinned = Reference.parse(reference)
    version = VersionImages(library, pinned, library.manifest(pinned))
    return b"".join(FORMATS[form].write(version, Extras("/data/local-files/?d=pets-1/")))


@pytest.mark.parametrize(
    "document",
    [
        [annotated("s3://bucket/elsewhere.png", annotation(choices("dog")), sha256=HASH)],
        [annotated("/data/local-files/?d=pets-1/train/cat/1.png", annotation(choices("dog")))],
        [completed("https://example.com/photos/train/cat/1.png", "dog")],
        [min_row("s3://photos/train/cat/1.png", "dog")],
        f"sha256,label\n{HASH.upper()},dog\n",
        f"path,label\n{NAME},dog\n",
    ],
)
def test_an_image_is_found_by_its_hash_or_its_path(
    stores: Stores, revisions: Revisions, tmp_path: Path, document: Any
) -> None:
    result = revisions.revised(labels=sent(stores, tmp_path, document))

    assert (result.revision.relabelled, result.revision.unmatched) == (1, 0)
    assert labels(stores, revisions, "pets@2")[NAME] == "dog"


def test_names_of_several_images_and_unusable_labels_are_counted(
    stores: Stores, revisions: Revisions, tmp_path: Path
) -> None:
    document = [
        min_row("/data/upload/1/8a6bb1c2-1.png", "dog"),  # of several images
        min_row("none.png", "dog"),
        min_row("train/cat/2.png", {"choices": ["cat", "dog"]}),
        annotated("train/cat/3.png"),  # not labelled
        min_row("train/cat/4.png", "dog"),
        min_row("test/cat/1.png", "dog"),
    ]

    result = revisions.revised(labels=sent(stores, tmp_path, document))

    revision = result.revision
    assert (revision.relabelled, revision.unmatched, revision.held_back) == (1, 3, 1)


@pytest.mark.parametrize(
    ("name", "relabelled"),
    [
        ("cat/0001.png", 1),
        ("s3://bucket/pets/train/cat/0001.png", 1),
        ("val/cat/0001.png", 0),
        ("dog/0001.png", 0),
        ("/data/upload/1/8a6bb1c2-0001.png", 1),
        ("http://studio/data/upload/0001.png", 1),
        ("0001.png", 1),
        ("other/8a6bb1c2-0001.png", 0),
    ],
)
def test_an_image_of_another_folder_is_another_image(
    stores: Stores, revisions: Revisions, tmp_path: Path, name: str, relabelled: int
) -> None:
    revisions.prepare({**FILES, "train/cat/0001.png": png(90)}, dataset="more")
    document = [min_row(name, "dog"), min_row("train/cat/2.png", "dog")]

    revision = revisions.revised("more@1", labels=sent(stores, tmp_path, document)).revision

    assert (revision.relabelled, revision.unmatched) == (1 + relabelled, 1 - relabelled)


def test_a_file_that_is_too_large_is_refused(
    stores: Stores, revisions: Revisions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = sent(stores, tmp_path, [min_row("train/cat/2.png", "dog")])
    monkeypatch.setattr(label_files, "MOST_BYTES", 1)

    job = revisions.revise(labels=labels)

    assert "send it in several files" in job.error.message  # type: ignore[union-attr]
    monkeypatch.undo()
    monkeypatch.setattr(label_files, "MOST_JSON_BYTES", 1)
    job = revisions.revise(labels=labels)
    assert "or as CSV" in job.error.message  # type: ignore[union-attr]


def test_a_file_without_a_usable_row_is_refused(stores: Stores, revisions: Revisions, tmp_path: Path) -> None:
    job = revisions.revise(labels=sent(stores, tmp_path, [min_row("none.png", "dog")]))

    assert job.state is JobState.FAILED
    assert "no row of the file of labels can be used: none.png (unknown image)" in job.error.message  # type: ignore[union-attr]


@pytest.mark.parametrize("keep", ["data", "image"])
def test_what_label_studio_gets_comes_back_with_its_changes(
    stores: Stores, revisions: Revisions, tmp_path: Path, keep: str
) -> None:
    # given the tasks of a version, of which a person changes two in Label Studio
    tasks = json.loads(exported(stores, "pets@1"))
    assert len(tasks) == len(FILES)
    changed = {"train/cat/1.png": "dog", "val/dog/0.png": "cat"}
    for task in tasks:
        path = task["data"]["path"]
        if keep == "image":  # a project that kept nothing but the image
            task["data"] = {"image": task["data"]["image"]}
        if path in changed:
            task["annotations"].append(annotation(choices(changed[path], name="label")))

    # when they come back
    result = revisions.revised(labels=sent(stores, tmp_path, tasks))

    # then these two have changed
    assert result.revision.relabelled == 2
    assert result.revision.unmatched == 0
    before = labels(stores, revisions, "pets@1")
    assert labels(stores, revisions, "pets@2") == before | changed

    # and the tasks of the new version change nothing
    again = json.loads(exported(stores, "pets@2"))
    job = revisions.revise("pets@2", labels=sent(stores, tmp_path, again))
    assert "nothing would change" in job.error.message  # type: ignore[union-attr]


def test_the_labels_of_a_csv_export_come_back(stores: Stores, revisions: Revisions, tmp_path: Path) -> None:
    table = exported(stores, "pets@1", "csv").decode().replace(f"{NAME},train,cat", f"{NAME},train,dog")

    assert revisions.revised(labels=sent(stores, tmp_path, table)).revision.relabelled == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/data/local-files/?d=pets-3/50%2525%20x/1.jpg", "50%25 x/1.jpg"),
        ("s3://bucket/k/1#a.jpg", "k/1#a.jpg"),
        ("https://example.com/a/1%20a.jpg?signature=x", "1 a.jpg"),
        ("gs://bucket/k/1.jpg", "k/1.jpg"),
        (r"C:\photos\1.jpg", "1.jpg"),
        ("50%25 x/1.jpg", "50%25 x/1.jpg"),
        ("http://[x/1.jpg", "1.jpg"),
    ],
)
def test_addresses_end_with_names_of_images(name: str, expected: str) -> None:
    assert expected in list(candidates(name))
