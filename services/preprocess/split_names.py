"""What the name of a folder or table says: a split, images without a class, or images of any kind."""

import re
from collections.abc import Iterable

from contract.datasets import Split
from media.archives.names import IMAGES

_NAME = re.compile(
    r"(?:(?P<prefix>.+)[ _-])?"
    r"(?:(?P<train>train(?:ing)?)|(?P<val>val(?:id(?:ation)?)?|dev)|(?P<test>test(?:ing)?|eval(?:uation)?))"
    r"(?:[ _-]*(?:set|data|images?))?(?:[ _-]?(?:19|20)\d\d)?",
    re.IGNORECASE,
)
_UNLABELED = re.compile(r"(?:un|not[ _-]?)label(?:l?ed)(?:[ _-].*)?|unsup(?:ervised)?", re.IGNORECASE)
_PLAIN = (None, "seg")  # prefixes of names that are splits whatever stands beside them
_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+(?![^\W\d_A-Z])")  # `trainLabels` has two
_TRAIN = (
    *("train", "training", "trn", "trainset", "trainval", "entrenamiento", "entraînement", "entrainement"),
    *("apprentissage", "treino", "treinamento", "addestramento", "обучение", "训练", "訓練", "学習", "학습", "훈련"),
)
_VAL = (
    *("val", "valid", "validation", "dev", "validación", "validacion", "validação", "validacao", "validierung"),
    *("validazione", "валидация", "验证", "驗證", "検証", "검증"),
)
_TEST = (
    *("test", "testing", "tst", "testset", "eval", "evaluation", "holdout", "prueba", "pruebas", "teste", "тест"),
    *("测试", "測試", "テスト", "테스트"),
)
_BEGINNING = re.compile(r"[^\W\d_]+(?:[ _-][^\W\d_]+)*(?=[\W\d_])|\d+(?=[_-])")
_ENDINGS = re.compile("(?:集|データ|세트)$")  # "set" or "data", written without a space before it
_DATA = frozenset({"dataset", "datasets", "data"})
_IMAGES = frozenset(
    {
        *("image", "images", "img", "imgs", "picture", "pictures", "pic", "pics", "photo", "photos"),
        *("jpg", "jpeg", "jpegs", "png", "pngs", "jpegimages"),
    }
)
_BESIDE = frozenset(  # words in the names of folders that lie beside images
    {
        *("example", "examples", "sample", "samples", "doc", "docs", "documentation", "asset", "assets", "figures"),
        *("annotation", "annotations", "mask", "masks", "label", "labels", "groundtruth", "segmentation"),
        *("segmentations", "demo", "screenshots", "results", "media", "meta", "paper", "papers", "pred"),
    }
)
_ANNOTATIONS = frozenset({"annotation", "annotations", "annots"})
_SURELY_BESIDE = _ANNOTATIONS | {  # whole names
    *("masks", "segmentation", "segmentations", "groundtruth", "ground_truth", "gt", "trimaps", "bboxes"),
    *("jpegimages", "segmentationclass", "segmentationobject", "imagesets"),
}
_PARTS = _DATA | _IMAGES | {"part", "batch", "input", "folder", "files"}


def split_named(name: str) -> Split | None:
    """Return the split that a usual name means, in any case: `train`, `Validation`, `seg_test`, `test_set`."""
    prefix, split = parsed(name)
    return split if prefix in _PLAIN else None


def split_mentioned(name: str) -> Split | None:
    """Return the split that is a word of a name: `trainLabels`, `test_public`, `训练集`, `train_val`."""
    words = {_ENDINGS.sub("", word) for word in _words(name)}
    if not words.isdisjoint(_TRAIN):
        return None if not words.isdisjoint(_TEST) else Split.TRAIN
    held_out = [split for split, usual in ((Split.VAL, _VAL), (Split.TEST, _TEST)) if not words.isdisjoint(usual)]
    return held_out[0] if len(held_out) == 1 else None


def parsed(name: str) -> tuple[str | None, Split | None]:
    """Return the prefix and the split of a name that ends with the name of a split."""
    match = _NAME.fullmatch(name.strip())
    if match is None:
        return None, None
    prefix = match["prefix"] if not (match["prefix"] or "").isdigit() else None  # 1_train, 2_test
    split = Split.TRAIN if match["train"] else Split.VAL if match["val"] else Split.TEST
    return prefix and prefix.lower(), split


def is_unlabeled(folder: str) -> bool:
    """Return whether a folder is named for images without a class, such as `unlabeled`; it is never a class."""
    return bool(_UNLABELED.fullmatch(folder.strip()))


def is_container(folder: str) -> bool:
    """Return whether a folder is named for images or data of any kind: `images`, `Dataset`, `data`."""
    words = _words(folder)
    return bool(words) and words <= _DATA | _IMAGES


def is_data(folder: str) -> bool:
    """Return whether a folder is named for a whole dataset: `data`, `Dataset`, `simpsons_dataset`."""
    words = _words(folder)
    return "dataset" in words or (not words.isdisjoint(_DATA) and words <= _DATA | _IMAGES)


def is_beside(folder: str) -> bool:
    """Return whether a folder is named for what lies beside images: `examples`, `docs`, `masks`."""
    return not _words(folder).isdisjoint(_BESIDE)


def is_surely_beside(folder: str) -> bool:
    """Return whether a folder has the name of annotations, and surely not that of a class."""
    return folder.lower() in _SURELY_BESIDE


def is_no_class(folder: str) -> bool:
    """Return whether a folder is named for images or their annotations, so that it is doubtful as a class."""
    return (
        is_container(folder) or is_surely_beside(folder) or folder.lower() in ("labels", "label", "mask", "label_maps")
    )


def is_annotations(folder: str) -> bool:
    return folder.lower() in _ANNOTATIONS


def is_part(folder: str) -> bool:
    """Return whether a folder is named for some of the images, not for a class: `images_part_1`, `train_images`."""
    return not _words(folder).isdisjoint(_PARTS)


def name_beginnings(names: Iterable[str]) -> list[str]:
    """Return the words or numbers that names of images begin with, if several images have each: `cat.0.jpg`."""
    files = [name.rpartition("/")[2] for name in names if name.lower().endswith(IMAGES)]
    beginnings = {match[0] for file in files if (match := _BEGINNING.match(file))}
    return sorted(beginnings) if len(beginnings) > 1 and 2 * len(beginnings) <= len(files) else []


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(name)}
