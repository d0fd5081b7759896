"""A manifest is found among CSV files, and its paths among the files of an archive."""

import unicodedata
from collections.abc import Mapping

import pytest

from contract.errors import BadDataset
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess.layout import arrange
from services.preprocess.manifest_paths import Paths

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
ROWS = "1,cat\n2,dog\n"
FOLDERS = {"cat/1.jpg": "", "dog/2.jpg": ""}
FLAT = {"1.jpg": "", "2.jpg": ""}


def arranged(files: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the labels of images and the reasons of rejected files."""
    rejections = Rejections()
    images = arrange(tuple(files), lambda name: files[name].encode(), Limits(), rejections)
    return {image.name: image.label for image in images}, {item.file: item.reason for item in rejections.first()}


@pytest.mark.parametrize(
    ("path", "files", "expected"),
    [
        ("1.jpg", ["1.jpg", "a/1.jpg"], ["1.jpg"]),
        ("a/1.jpg", ["1.jpg", "a/1.jpg"], ["a/1.jpg"]),
        ("./a\\1.jpg", ["a/1.jpg"], ["a/1.jpg"]),
        ("1.jpg", ["images/1.jpg"], ["images/1.jpg"]),
        ("1", ["images/1.jpg", "images/11.jpg", "images/1.xml"], ["images/1.jpg"]),
        ("scan.v1", ["a/scan.v1.PNG", "a/scan.png"], ["a/scan.v1.PNG"]),
        ("1", ["a/1.jpg", "b/1.jpg"], ["a/1.jpg", "b/1.jpg"]),
        ("b/1", ["a/1.jpg", "b/1.jpg"], ["b/1.jpg"]),
        ("1", ["a/21.jpg"], []),
        ("", ["a/1.jpg"], []),
        ("../a/1.jpg", ["a/1.jpg"], []),
        (f"{NFC}/1.jpg", [f"{NFD}/1.jpg"], [f"{NFD}/1.jpg"]),
        (f"{NFD}", [f"a/{NFC}.jpg"], [f"a/{NFC}.jpg"]),
        (f"{NFD}.jpg", [f"{NFD}.jpg", f"{NFC}.jpg"], [f"{NFD}.jpg"]),
    ],
)
def test_a_path_means_the_one_file_that_it_can_mean(path: str, files: list[str], expected: list[str]) -> None:
    assert sorted(Paths({name: name for name in files}).matches(path)) == expected


@pytest.mark.parametrize(
    "files",
    [
        FLAT | {"train.csv": "id,label\n" + ROWS},
        FLAT | {"labels.csv": "image_id;class\r\n1;cat\r\n2;dog\r\n"},
        {f"train/{name}": "" for name in FLAT} | {"test/3.jpg": "", "train.csv": "id,label\n" + ROWS},
        FLAT | {"train.csv": "id,label\n" + ROWS, "sample_submission.csv": "id,label\n" + ROWS, "test.csv": "id\n3\n"},
        {"a/b/1.jpg": "", "a/b/2.jpg": "", "a/b/labels.tsv": "file\ttarget\n1.jpg\tcat\nb/2.jpg\tdog\n"},
        {"a/1.jpg": "", "a/2.jpg": "", "a/labels.csv": "path,label\na/1.jpg,cat\na/2.jpg,dog\n"},
    ],
)
def test_a_manifest_labels_images_by_path_name_or_id(files: dict[str, str]) -> None:
    images, rejected = arranged(files)

    labels = {name.rpartition("/")[2]: label for name, label in images.items()}
    assert labels == {"1.jpg": "cat", "2.jpg": "dog"}
    assert len({*images, *rejected}) == len(files) - 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("class id,filepaths,labels\n0,cat/1.jpg,cat\n", "needs the columns path,label"),
        ("id,class\n10,cat\n11,dog\n", "name other files"),
        ("caf\ud8ff", "needs the columns"),
        ("x" * 200_000, "not a readable CSV"),
        ("", "needs the columns"),
    ],
)
@pytest.mark.parametrize("wrapper", ["", "birds/"])
def test_a_stray_csv_beside_class_folders_is_rejected_with_a_reason(text: str, reason: str, wrapper: str) -> None:
    rejections = Rejections()
    names = tuple(wrapper + name for name in [*FOLDERS, "birds.csv"])

    images = arrange(names, lambda _: text.encode("utf-8", "surrogatepass"), Limits(), rejections)

    assert {image.label for image in images} == {"cat", "dog"}
    assert [item.file for item in rejections.first()] == [wrapper + "birds.csv"]
    assert reason in rejections.first()[0].reason


def test_a_stray_csv_beside_the_wrapper_does_not_hide_it() -> None:
    images, rejected = arranged({"data/cat/1.jpg": "", "data/dog/2.jpg": "", "birds.csv": "a,b\n"})

    assert set(images.values()) == {"cat", "dog"}
    assert rejected.keys() == {"birds.csv"}


def test_a_file_called_manifest_csv_must_be_a_manifest() -> None:
    with pytest.raises(BadDataset, match=r"manifest\.csv needs the columns path,label"):
        arranged(FOLDERS | {"manifest.csv": "a,b\n"})


@pytest.mark.parametrize("table", ["a,b\n", "ClassId,Name\n0,cat\n1,dog\n", "id,class\n1,cat\n2,dog\n"])
def test_a_list_of_classes_is_no_manifest(table: str) -> None:
    files = {f"{label}/{number}.jpg": "" for label in ("cat", "dog") for number in range(1, 20)} | {"dog/100.jpg": ""}

    images, rejected = arranged(files | {"labels.csv": table})

    assert set(images.values()) == {"cat", "dog"}
    assert len(images) == len(files)
    assert rejected.keys() == {"labels.csv"}


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_a_manifest_may_be_in_another_encoding(encoding: str) -> None:
    text = "id,label\n1,café\n2,crème brûlée\n".encode(encoding)

    images = arrange((*FOLDERS, "train.csv"), lambda _: text, Limits(), Rejections())

    assert {image.label for image in images} == {"café", "crème brûlée"}


def test_of_several_manifests_none_is_chosen() -> None:
    images, rejected = arranged(FOLDERS | dict.fromkeys(["a.csv", "b.csv"], "id,label\n1,x\n2,y\n"))

    assert set(images.values()) == {"cat", "dog"}
    assert rejected == dict.fromkeys(["a.csv", "b.csv"], "one of several tables; name the one to use manifest.csv")


def test_the_only_csv_of_images_without_folders_is_named_in_the_error() -> None:
    with pytest.raises(BadDataset, match=r"no image with a class.*birds\.csv needs the columns"):
        arranged(FLAT | {"birds.csv": "a,b\n"})


def test_a_row_that_means_several_files_is_rejected() -> None:
    files = {"a/1.jpg": "", "b/1.jpg": "", "a/2.jpg": "", "a/3.jpg": "", "labels.csv": "id,label\n1,x\n2,cat\n3,dog\n"}

    images, rejected = arranged(files)

    assert set(images.values()) == {"cat", "dog"}
    assert rejected["1"] == "in the manifest, but several files of the archive have this name"
