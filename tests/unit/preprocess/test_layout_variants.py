"""Layouts as people have them: levels, tables of many kinds, groups and what is warned of."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest

from contract.datasets import DatasetWarning, Split, SplitSpec
from contract.errors import BadDataset
from contract.kinds.preprocess import LayoutSpec
from media.archives.limits import Limits
from media.archives.rejections import Rejections
from services.preprocess.image_files import ImageFile
from services.preprocess.layout import arrange
from services.preprocess.split import assign_splits
from services.preprocess.warnings import Warnings

TRAIN, VAL, TEST = Split.TRAIN, Split.VAL, Split.TEST
FRUIT = [
    "Fruit/Apple/Golden/1.jpg",
    "Fruit/Apple/Royal/2.jpg",
    "Fruit/Pear/3.jpg",
    "Juice/Apple/Golden/4.jpg",
    "Juice/Orange/5.jpg",
]


class Arranged:
    """The result of arranging files, which are empty unless they have a text."""

    def __init__(self, files: Mapping[str, str | bytes] | list[str], level: Any = 1, group_by: Any = None) -> None:
        texts = files if isinstance(files, Mapping) else dict.fromkeys(files, "")
        rejections, warnings = Rejections(), Warnings()

        def read(name: str) -> bytes:
            text = texts[name]
            return text if isinstance(text, bytes) else text.encode()

        self.images: tuple[ImageFile, ...] = arrange(
            tuple(texts), read, Limits(), rejections, LayoutSpec(class_level=level), group_by, warnings
        )
        self.labels = {image.name: image.label for image in self.images}
        self.splits = {image.name: image.split for image in self.images}
        self.groups = {image.name: image.group for image in self.images}
        self.rejected = {item.file: item.reason for item in rejections.first()}
        self.warnings: dict[str, DatasetWarning] = {warning.code: warning for warning in warnings.all}
        used = {name for name in texts if name.endswith((".csv", ".tsv", ".jsonl"))}
        assert {*self.labels, *self.rejected, *used} >= texts.keys()


@pytest.mark.parametrize(
    ("level", "labels"),
    [
        (1, ["Fruit", "Fruit", "Fruit", "Juice", "Juice"]),
        (2, ["Fruit/Apple", "Fruit/Apple", "Pear", "Juice/Apple", "Orange"]),
        (3, ["Fruit/Apple/Golden", "Royal", None, "Juice/Apple/Golden", None]),
        ("leaf", ["Fruit/Apple/Golden", "Royal", "Pear", "Juice/Apple/Golden", "Orange"]),
    ],
)
@pytest.mark.parametrize("prefix", ["", "train/", "data/", "train/train/", "data/Training/"])
def test_a_level_of_folders_names_the_classes(level: Any, labels: list[str | None], prefix: str) -> None:
    result = Arranged([prefix + name for name in FRUIT], level)

    assert [result.labels.get(prefix + name) for name in FRUIT] == labels
    assert set(result.splits.values()) == ({TRAIN} if "rain" in prefix else {None})
    assert all(reason == "has no folder at level 3, which names the class" for reason in result.rejected.values())


def test_a_class_has_one_name_in_all_splits() -> None:
    result = Arranged(["train/a/x/1.jpg", "train/b/y/2.jpg", "test/a/x/3.jpg", "test/b/y/4.jpg"], 2)

    assert list(result.labels.values()) == ["x", "y", "x", "y"]


def test_nested_folders_are_counted_at_each_level() -> None:
    warning = Arranged([f"train/{name}" for name in FRUIT]).warnings["nested_class_folders"]

    assert warning.count == 5
    assert "2 at level 1, 4 at level 2, 3 at level 3 and 5 that images lie in" in warning.message
    assert "the first level names the 2 classes" in warning.message
    assert "Fruit/Apple/Golden" in warning.examples
    assert "layout.class_level" in warning.advice


@pytest.mark.parametrize(
    ("files", "level"),
    [(["cat/1.jpg", "dog/2.jpg"], 1), (["cat/cat/1.jpg", "dog/dog/2.jpg"], 1), (FRUIT, "leaf"), (FRUIT, 2)],
)
def test_folders_without_doubt_give_no_warning(files: list[str], level: Any) -> None:
    assert not Arranged(files, level).warnings


def test_a_level_is_advised_if_the_first_has_one_class() -> None:
    with pytest.raises(BadDataset, match=r"only 'Fruit'.*set layout\.class_level to 2; the first paths are 'train/Fr"):
        Arranged([f"train/{name}" for name in FRUIT if name.startswith("Fruit")])


def test_a_single_folder_counts_as_a_level_if_one_is_asked_for() -> None:
    assert set(Arranged(["Fruit/Apple/1.jpg", "Fruit/Pear/2.jpg"], 2).labels.values()) == {"Apple", "Pear"}


@pytest.mark.parametrize("wrapper", ["", "archive/", "home/me/data/pets/"])
@pytest.mark.parametrize("unlabeled", ["unlabeled", "Unlabelled", "unlabeled_images", "unsup"])
def test_folders_of_unlabeled_images_are_ignored(wrapper: str, unlabeled: str) -> None:
    for folders in (["train/cat", "train/dog"], ["cat", "dog"], ["train/cat", "train/dog", "test/cat"]):
        used = [f"{wrapper}{folder}/{number}.jpg" for folder in folders for number in range(2)]
        strays = [f"{wrapper}{unlabeled}/1.jpg", f"{wrapper}{folders[0]}/../{unlabeled}/2.jpg".replace("cat/../", "")]

        result = Arranged([*used, *strays])

        assert result.labels.keys() == set(used)
        assert result.rejected.keys() == set(strays)
        assert result.warnings["ignored_files"].count == len(set(strays))
        assert set(result.warnings["ignored_files"].examples) == set(strays)


def test_documents_beside_the_images_are_no_classes_and_no_splits() -> None:
    documents = ["docs/readme.md", "annotations/cat/1.xml", "scripts/train/run.py", "data/cat/notes.txt", "LICENSE.txt"]

    result = Arranged(["data/cat/1.jpg", "data/dog/2", *documents])

    assert result.labels == {"data/cat/1.jpg": "cat", "data/dog/2": "dog"}
    assert result.rejected.keys() == set(documents)


METADATA = {
    "metadata.csv": "file_name,label,text\n{}1.jpg,cat,a\n{}2.jpg,dog,b\n",
    "metadata.jsonl": '{{"file_name": "{}1.jpg", "label": "cat", "boxes": {{"x": [1]}}}}\n\n'
    '{{"file_name": "{}2.jpg", "label": "dog"}}\r\n',
    "labels.tsv": "image\tclass\n{}1.jpg\tcat\n{}2.jpg\tdog\n",
}


@pytest.mark.parametrize("table", METADATA)
@pytest.mark.parametrize(("folder", "prefix"), [("", ""), ("images/", "images/"), ("images/", "")])
def test_metadata_as_hugging_face_reads_it(table: str, folder: str, prefix: str) -> None:
    result = Arranged({f"{folder}1.jpg": "", f"{folder}2.jpg": "", table: METADATA[table].format(prefix, prefix)})

    assert result.labels == {f"{folder}1.jpg": "cat", f"{folder}2.jpg": "dog"}
    assert not result.rejected
    assert not result.warnings


@pytest.mark.parametrize("table", [*METADATA, "_classes.csv"])
@pytest.mark.parametrize("wrapper", ["", "data/"])
def test_each_split_folder_may_have_metadata(table: str, wrapper: str) -> None:
    text = METADATA.get(table, "filename, cat, dog\n{}1.jpg, 1, 0\n{}2.jpg, 0, 1\n").format("", "")
    files: dict[str, str] = {}
    for split in ("train", "valid", "test"):
        files |= {f"{wrapper}{split}/1.jpg": "", f"{wrapper}{split}/2.jpg": "", f"{wrapper}{split}/{table}": text}

    result = Arranged(files)

    assert Counter(result.splits.values()) == {TRAIN: 2, VAL: 2, TEST: 2}
    assert result.splits[f"{wrapper}valid/1.jpg"] is VAL
    assert all(label == ("cat" if "1.jpg" in name else "dog") for name, label in result.labels.items())
    assert not result.rejected


def test_captions_beside_class_folders_are_ignored_with_a_warning() -> None:
    result = Arranged({"cat/1.jpg": "", "dog/2.jpg": "", "metadata.csv": "file_name,text\ncat/1.jpg,a cat\n"})

    assert set(result.labels.values()) == {"cat", "dog"}
    assert result.warnings["ignored_tables"].count == 1
    assert result.warnings["ignored_tables"].examples[0].startswith("metadata.csv: ")


PLANTS = "image,healthy,Multiple Diseases,rust\n1,1,0,0\n2,0,1,0\n3,0.0,0.0,1.0\n4,1,1,0\n5,0,0,0\n6,TRUE,FALSE,FALSE\n"


def test_columns_of_ones_and_zeros_name_the_classes() -> None:
    result = Arranged({**{f"images/{number}.jpg": "" for number in range(1, 7)}, "train.csv": PLANTS})

    assert list(result.labels.values()) == ["healthy", "Multiple Diseases", "rust", "healthy"]
    assert result.rejected == {
        "images/4.jpg": "its row has a 1 in 2 of the label columns; exactly one must be 1",
        "images/5.jpg": "its row has a 1 in none of the label columns; exactly one must be 1",
    }


def test_each_split_may_have_a_table() -> None:
    files = {f"images/{number}.jpg": "" for number in range(6)}
    files["sample_submission.csv"] = "id,label\n5,cat\n"
    rows = ["id,label\n0,cat\n1,dog\n2,cat\n3,dog\n", "id,label\n4,cat\n", "id,label\n5,dog\n"]

    for names in (["train.csv", "val.csv", "test.csv"], ["train_labels.csv", "labels_valid.csv", "Test-Labels.csv"]):
        result = Arranged(
            {**files, **dict(zip(names, rows, strict=True)), "sample_submission.csv": "id,label\n5,cat\n"}
        )

        assert Counter(result.splits.values()) == {TRAIN: 4, VAL: 1, TEST: 1}
        assert result.splits["images/5.jpg"] is TEST
        assert len(result.labels) == 6
        assert result.rejected.keys() == {"sample_submission.csv"}


def test_folders_of_splits_count_for_rows_that_say_none() -> None:
    files = {"train/1.jpg": "", "train/2.jpg": "", "test/3.jpg": ""}
    table = "file_name,label\ntrain/1.jpg,cat\ntrain/2.jpg,dog\ntest/3.jpg,cat\n"

    assert list(Arranged({**files, "metadata.csv": table}).splits.values()) == [TRAIN, TRAIN, TEST]
    only_train = Arranged({**files, "train.csv": "id,label\n1,cat\n2,dog\n"})
    assert set(only_train.splits.values()) == {None}


@pytest.mark.parametrize("path", ["/home/me/pets/images/{}.jpg", "C:\\pets\\images\\{}.jpg", "IMAGES/{}.JPG", "{}"])
def test_paths_of_another_computer_and_case_are_matched(path: str) -> None:
    table = "path,label\n" + "".join(f"{path.format(number)},{'cat' if number else 'dog'}\n" for number in range(2))

    assert len(Arranged({"images/0.jpg": "", "images/1.jpg": "", "labels.csv": table}).labels) == 2


def test_a_manifest_may_lie_in_a_folder_of_its_own() -> None:
    table = "file,label\n1.jpg,cat\n2.jpg,dog\n"

    for wrapper in ("", "data/"):
        files = [f"{wrapper}images/1.jpg", f"{wrapper}images/2.jpg"]
        result = Arranged({**dict.fromkeys(files, ""), f"{wrapper}annotations/train.csv": table})
        assert result.labels == dict(zip(files, ["cat", "dog"], strict=True))


def test_the_encoding_of_a_manifest_is_warned_of() -> None:
    table = "path,label\n1.jpg,猫\n2.jpg,ソース\n".encode("cp932")

    result = Arranged({"1.jpg": "", "2.jpg": "", "labels.csv": table})

    assert set(result.labels.values()) == {"猫", "ソース"}
    assert result.warnings["encoding_detected"].examples == ("labels.csv",)
    assert "cp932" in result.warnings["encoding_detected"].message


def test_a_line_that_is_no_json_object_is_named() -> None:
    for line in ("{", "[]", '"a"', "1", "[" * 100_000):
        with pytest.raises(BadDataset, match=r"line 3 of metadata\.jsonl is not a JSON object.*the first paths are"):
            Arranged({"1.jpg": "", "metadata.jsonl": '{"file_name": "1.jpg"}\n\n' + line})


PATIENTS = "image,label,Patient ID\n" + "".join(
    f"{number}.jpg,{'ill' if number % 3 else 'well'},p{number // 5}\n" for number in range(100)
)


def test_images_are_grouped_by_a_column() -> None:
    files = {f"{number}.jpg": "" for number in range(100)} | {"labels.csv": PATIENTS}

    for column in ("Patient ID", "patient_id"):
        result = Arranged(files, group_by=column)
        splits = assign_splits(result.images, SplitSpec(group_by=column))
        patients = [{image.group for image in splits[split]} for split in Split]
        assert set.union(*patients) == {f"p{number}" for number in range(20)}
        assert sum(map(len, patients)) == 20
        assert [len(splits[split]) for split in Split] == [80, 10, 10]


def test_images_are_grouped_by_a_level_of_folders() -> None:
    names = [f"{label}/p{number % 10}/{number}.jpg" for label in ("cat", "dog") for number in range(60)]

    for prefix in ("", "data/", "train/"):
        result = Arranged([prefix + name for name in names], group_by=2)
        splits = assign_splits(result.images, SplitSpec(group_by=2))
        assert set(result.groups.values()) == {f"p{number}" for number in range(10)}
        groups = [{image.group for image in splits[split]} for split in Split]
        assert sum(map(len, groups)) == 10


def test_a_column_or_level_that_does_not_exist_is_an_error() -> None:
    files = {"1.jpg": "", "2.jpg": "", "labels.csv": "path,label\n1.jpg,cat\n2.jpg,dog\n"}

    with pytest.raises(BadDataset, match=r"labels\.csv has no column 'patient' to group by; its columns are path, lab"):
        Arranged(files, group_by="patient")
    with pytest.raises(BadDataset, match=r"names the column 'patient', but the archive has no manifest"):
        Arranged(["cat/1.jpg", "dog/2.jpg"], group_by="patient")
    with pytest.raises(BadDataset, match=r"the folder level 2, but the folders with images are at most 1 deep"):
        Arranged(["cat/1.jpg", "dog/2.jpg"], group_by=2)


@pytest.mark.parametrize(
    "names",
    [
        ["small/train/a/1.jpg", "small/test/a/1.jpg", "full/train/a/1.jpg", "full/test/b/1.jpg"],
        ["train/1.jpg", "plane/1.jpg", "test/1.jpg"],
    ],
)
def test_what_cannot_be_told_shows_the_first_paths(names: list[str]) -> None:
    with pytest.raises(BadDataset, match=rf"; the first paths are '{names[0]}', '{names[1]}'"):
        Arranged(names)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("1_train", "2_test"),
        ("train2017", "val2017"),
        ("Train_2020", "Test_2020"),
        ("training", "evaluation"),
        ("train", "test1"),
        ("train", "holdout"),
        ("train", "test_public"),
        ("train_imgs", "test_imgs"),
        ("trainval", "test"),
        ("train.v2", "valid.v2"),
        ("Train 1", "Test 1"),
        ("训练集", "测试集"),
        ("Entrenamiento", "Prueba"),
    ],
)
def test_more_usual_names_of_splits(train: str, test: str) -> None:
    result = Arranged([f"{folder}/{name}" for folder in (train, test) for name in ("cat/3.jpg", "dog/2.jpg")])

    assert set(result.labels.values()) == {"cat", "dog"}
    assert result.splits[f"{train}/cat/3.jpg"] is TRAIN
    assert result.splits[f"{test}/cat/3.jpg"] in (VAL, TEST)


def test_several_training_folders_are_one_split() -> None:
    result = Arranged([f"train{number}/{name}" for number in (1, 2) for name in ("cat/3.jpg", "dog/2.jpg")])

    assert set(result.labels.values()) == {"cat", "dog"}
    assert set(result.splits.values()) == {TRAIN}


def test_images_without_a_class_are_warned_of() -> None:
    result = Arranged(["train/cat/1.jpg", "train/dog/2.jpg", "test/3.jpg", "test/4.jpg"])

    assert result.warnings["ignored_files"].count == 2
    assert result.warnings["ignored_files"].examples == ("test/3.jpg", "test/4.jpg")


def test_a_manifest_whose_ids_mean_several_files_is_refused_and_not_ignored() -> None:
    files = [f"{folder}/{number}.jpg" for folder in ("images", "masks") for number in range(4)]
    table = "id,label\n0,cat\n1,dog\n2,cat\n3,dog\n"

    with pytest.raises(BadDataset, match=r"'0' \(in the manifest, but several files of the archive have this name\)"):
        Arranged({**dict.fromkeys(files, ""), "labels.csv": table})
