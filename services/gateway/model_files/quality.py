"""The part of a model card that says how good the model is, and where it is weak."""

from collections.abc import Iterator

from contract.evaluation import LabelError, Metrics, SlowImage, TrainingImages
from contract.training import ModelManifest
from services.gateway.model_files.markdown import UNKNOWN, code, percent, table, text

WEAKEST = 5  # classes and confusions to show
FEW = 20  # images; fewer say little about a class


def quality(manifest: ModelManifest) -> Iterator[str]:
    """Yield the lines of the sections on the metrics and the weak classes."""
    if manifest.metrics is None:
        return
    splits = {"validation": manifest.metrics.val, "test": manifest.metrics.test}
    measured = {name: metrics for name, metrics in splits.items() if metrics is not None}
    if not measured:
        yield from ["## How good it is", "", "The dataset has no images that were held back, so this is not known.", ""]
        return
    yield from ["## How good it is", ""]
    rows = [_measures(metrics) for metrics in measured.values()]
    known = [name for name in rows[0] if any(row[name] != UNKNOWN for row in rows)]
    yield from table(["", *(f"{name}:" for name in measured)], [(name, *(row[name] for row in rows)) for name in known])
    yield "Validation images chose the weights and the settings; test images chose nothing."
    name, metrics = list(measured.items())[-1]
    yield from ["", "## Where it is weak", "", *_weak_classes(name, metrics), *_confusions(manifest.labels, metrics)]
    if manifest.training_images is not None:
        yield from _training_images(manifest.training_images)


def _measures(metrics: Metrics) -> dict[str, str]:
    """Return what is measured, by its name for people."""
    interval = metrics.accuracy_interval
    counted = [one for one in metrics.per_class.values() if one.support]
    macro = sum(one.f1 for one in counted) / len(counted) if counted else None
    error = metrics.expected_calibration_error
    return {
        "images": f"{sum(one.support for one in counted):,}",
        "accuracy": percent(metrics.accuracy),
        "with 95 % confidence within": UNKNOWN if interval is None else " to ".join(map(percent, interval)),
        "mean F1 of the classes": percent(macro),
        "right class among the best five": percent(metrics.top5_accuracy) if len(metrics.per_class) > 5 else UNKNOWN,
        "confidence is off by, on average": percent(error),
        "loss (nats)": f"{metrics.loss:.3f}",
    }


def _weak_classes(split: str, metrics: Metrics) -> Iterator[str]:
    counted = {label: one for label, one in metrics.per_class.items() if one.support}
    weakest = sorted(counted.items(), key=lambda pair: pair[1].f1)[:WEAKEST]
    yield f"The classes with the lowest F1 on {split} images. Precision is the share that is right among the images"
    yield from ["that it names so; recall is the share that it finds among the images of the class.", ""]
    yield from table(
        ["class", "F1:", "precision:", "recall:", "images:"],
        [
            (text(label), percent(one.f1), percent(one.precision), percent(one.recall), str(one.support))
            for label, one in weakest
        ],
    )
    few = [label for label, one in counted.items() if one.support < FEW]
    if few:
        yield f"Fewer than {FEW} images say little about a class; that is so for {len(few)} of {len(counted)} classes."
    if len(counted) < len(metrics.per_class):
        yield f"Classes without {split} images, of which nothing is known: {len(metrics.per_class) - len(counted)}."
    yield ""


def _training_images(noticed: TrainingImages) -> Iterator[str]:
    if noticed.label_errors:
        share = f"{noticed.label_error_count:,} of {noticed.judged:,}"
        yield f"Training images that may have a wrong label, {share}, the most suspicious first:"
        listed = noticed.label_errors[:WEAKEST]
        yield from ["", *(f"- {_named(one)}: {text(one.label)}, or {text(one.suggested)}?" for one in listed), ""]
    if noticed.slowest:
        yield from ["Training images that it was slowest to learn, which are hard or wrong:", ""]
        yield from [f"- {_named(one)}: {text(one.label)}" for one in noticed.slowest[:WEAKEST]]
        yield ""


def _named(image: LabelError | SlowImage) -> str:
    return f"image {image.image}" if image.path is None else code(image.path)


def _confusions(labels: tuple[str, ...], metrics: Metrics) -> Iterator[str]:
    pairs = [
        (count, row, column)
        for row, counts in enumerate(metrics.confusion_matrix)
        for column, count in enumerate(counts)
        if row != column and count
    ]
    if not pairs or len(labels) != len(metrics.confusion_matrix):
        return
    yield from ["The most frequent confusions:", ""]
    for count, row, column in sorted(pairs, key=lambda pair: -pair[0])[:WEAKEST]:
        total = sum(metrics.confusion_matrix[row])
        yield f"- {count} of {total} images of {text(labels[row])} were taken for {text(labels[column])}."
    yield ""
