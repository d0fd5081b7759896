"""Names of folders say splits."""

import pytest

from contract.datasets import Split
from services.preprocess.split_names import is_part, split_mentioned, split_named

TRAIN, VAL, TEST = Split.TRAIN, Split.VAL, Split.TEST


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, TRAIN) for name in ["train", "Training", "seg_train", "TRAIN", "training_set", "train_data"]),
        *((name, VAL) for name in ["val", "Valid", "validation", "DEV", "seg_val", "validation-set"]),
        *((name, TEST) for name in ["test", "Testing", "seg_test", "testset", "test images"]),
        *(
            (name, None)
            for name in ["", "cat", "trainer", "trains", "devil", "contest", "crash_test", "dataset", "set"]
        ),
    ],
)
def test_a_split_is_known_by_its_usual_names(name: str, split: Split | None) -> None:
    assert split_named(name) is split


@pytest.mark.parametrize(
    ("name", "split"),
    [
        *((name, TRAIN) for name in ["trainLabels", "Train.v1", "train_val", "ISIC_Training", "训练集", "学習データ"]),
        *((name, VAL) for name in ["val_cropped", "MyValidation", "验证集", "Validación"]),
        *((name, TEST) for name in ["test_public", "TestLabels", "holdout", "测试集", "テストデータ", "тест"]),
        *((name, None) for name in ["cat", "contest", "trainers", "train_test", "val_test", "", "latest"]),
    ],
)
def test_a_name_mentions_a_split_as_a_word(name: str, split: Split | None) -> None:
    assert split_mentioned(name) is split


@pytest.mark.parametrize(
    ("name", "expected"),
    [("HAM10000_images_part_1", True), ("images_001", True), ("train_images", True), ("Training_Input", True),
     ("cat", False), ("batch_2", True), ("partridge", False), ("1", False)],
)  # fmt: skip
def test_a_folder_may_be_named_for_a_part_of_the_images(name: str, expected: bool) -> None:
    assert is_part(name) is expected
