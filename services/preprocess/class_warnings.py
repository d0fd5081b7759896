"""Warns of classes that are hard to learn or to measure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from contract.datasets import DatasetWarning, Split
from services.preprocess.warnings import Warnings, plural

CLASS_CODES = frozenset(
    {"empty_classes", "one_image_classes", "untrained_classes", "untested_classes", "similar_class_names"}
)


def class_warnings(counts: Mapping[Split, Mapping[str, int]]) -> tuple[DatasetWarning, ...]:
    """Return warnings of classes with no image, one image or images in one split only, from the usable images.

    A split that is empty for all classes does not count. `similar_class_names` are names that differ only in case or
    separators.
    """
    labels = sorted({label for by_class in counts.values() for label in by_class})
    totals = {label: sum(by_class.get(label, 0) for by_class in counts.values()) for label in labels}
    held_out = [split for split in (Split.VAL, Split.TEST) if any(counts.get(split, {}).values())]
    train = counts.get(Split.TRAIN, {})
    single = [label for label in labels if totals[label] == 1]
    untrained = [label for label in labels if totals[label] and not train.get(label)]
    untested = [
        label
        for label in labels
        if totals[label] > 1 and train.get(label) and not any(counts[split].get(label) for split in held_out)
    ]
    warnings = Warnings()
    _add(
        warnings,
        ("empty_classes", "no image that can be used", "Send images of them that can be read, or remove the folder."),
        [label for label in labels if not totals[label]],
    )
    _add(warnings, ("one_image_classes", "only one image", "Add images, or remove the class."), single)
    _add(
        warnings,
        (
            "untrained_classes",
            "images in validation or test, but none in training, so a model cannot learn it",
            "Add training images, or remove the class; one that is spelled differently in each split is two classes.",
        ),
        untrained,
    )
    if held_out:
        _add(
            warnings,
            (
                "untested_classes",
                "images in training only, so its accuracy cannot be measured",
                "Add images, or send the images without splits.",
            ),
            untested,
        )
    alike = [" = ".join(names) for names in _alike(labels)]
    warnings.add(
        "similar_class_names",
        f"{plural(len(alike), 'class is', 'classes are')} spelled in several ways",
        alike,
        "Give the folders or labels one spelling if they are one class.",
    )
    return warnings.all


def _add(warnings: Warnings, kind: tuple[str, str, str], labels: list[str]) -> None:
    code, what, advice = kind
    warnings.add(code, f"{plural(len(labels), 'class has', 'classes have')} {what}", labels, advice)


def _alike(labels: Iterable[str]) -> list[list[str]]:
    by_name: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        by_name[re.sub(r"[\s_-]+", " ", label.casefold())].append(label)
    return [names for names in by_name.values() if len(names) > 1]
