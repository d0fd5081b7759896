"""Fills a site with a dataset of photos and models that were trained on it; asks axe-core about pages."""

import io
import itertools
import json
import random
import zipfile
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from contract.artifacts import Bucket, upload_key
from contract.catalog import Traffic
from contract.choices import Choice
from contract.datasets import DatasetManifest, Split
from contract.evaluation import (
    Baseline,
    ClassMetrics,
    Comparison,
    EvaluationMetrics,
    EvaluationReport,
    JudgedImage,
    LabelError,
    Metrics,
    Temperature,
    TrainingImages,
)
from contract.image_index import ImageRecord
from contract.images import ImageRequest
from contract.jobs import Job, JobKind
from contract.kinds.evaluate import EvaluateRequest, EvaluateSpec, EvaluationOutput
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.kinds.train import TrainRequest, TrainSpec
from contract.references import UploadSource
from contract.training import Epoch, ModelManifest
from media.image_index import read_index, records
from services.storage.catalog.uploads import new_upload_id
from tests.console.site import Site
from tests.examples import LINEAGE, MODEL_MANIFEST, VARIANT
from tests.support.preparation import Workshop
from tests.support.publication import publish

SAMPLE = Path(__file__).parents[2] / "examples" / "clothing-sample.zip"
IMAGE = ImageRequest(size=(96, 96), mode="RGB", resize="pad")
DECISIONS = (
    Choice(what="image.size", value=[224, 224], because="the median image is 400 × 533, and clothes reach the edges"),
    Choice(what="method", value="fine_tune", because="0.886 on validation; probe 0.871, from scratch 0.804"),
    Choice(what="class_weights", value="balanced", because="there are 795 t-shirts and 112 skirts"),
)


def findings(page: Page) -> list[str]:
    """Serious and critical findings of axe-core."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {one['nodes'][0]['target']}" for one in violations if one["impact"] in {"serious", "critical"}
    ]


def add_clothing(site: Site, folder: Path, each: int = 3) -> tuple[DatasetManifest, tuple[ImageRecord, ...]]:
    """Publish a dataset of a few photos of each class and split; return it with the records of its images."""
    with zipfile.ZipFile(SAMPLE) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        groups = itertools.groupby(names, key=lambda name: name.rpartition("/")[0])
        files = {name: archive.read(name) for _, group in groups for name in itertools.islice(group, each)}
    upload = new_upload_id()
    site.own.uploads.add("clothing.zip", site.objects.put(Bucket.UPLOADS, upload_key(upload, "default"), b"zip"))
    spec = PreprocessSpec(dataset="clothing", source=UploadSource(upload=upload), image=IMAGE)
    folder.mkdir(exist_ok=True)
    workshop = Workshop(folder, site.objects)
    manifest = workshop.prepare(files, spec)
    publish(site.stores, PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec), manifest)
    return manifest, workshop.index(manifest)


def metrics_of(classes: tuple[str, ...], accuracy: float, seed: int) -> Metrics:
    """Invent counts that fit together."""
    chance, size = random.Random(seed), len(classes)
    matrix = [[0] * size for _ in classes]
    for row in range(size):
        support = chance.randint(12, 70)
        wrong = sum(chance.random() > accuracy for _ in range(support))
        matrix[row][row] = support - wrong
        for _ in range(wrong):
            matrix[row][(row + chance.choice([1, 1, 2, 5])) % size] += 1
    columns = [sum(line[column] for line in matrix) for column in range(size)]
    lines = {
        label: ClassMetrics(
            precision=matrix[i][i] / max(1, columns[i]),
            recall=matrix[i][i] / sum(matrix[i]),
            f1=2 * matrix[i][i] / (sum(matrix[i]) + columns[i]),
            support=sum(matrix[i]),
        )
        for i, label in enumerate(classes)
    }
    right = sum(matrix[i][i] for i in range(size)) / sum(map(sum, matrix))
    return Metrics(
        accuracy=right,
        accuracy_interval=(right - 0.031, min(1.0, right + 0.029)),
        balanced_accuracy=right,
        macro_f1=sum(line.f1 for line in lines.values()) / size,
        top5_accuracy=0.99 if size > 5 else None,
        loss=0.41,
        expected_calibration_error=0.019,
        confusion_matrix=tuple(map(tuple, matrix)),
        per_class=lines,
    )


def trained(
    classes: tuple[str, ...], accuracy: float, seed: int, suspects: tuple[LabelError, ...] = (), **changes: Any
) -> ModelManifest:
    """Return the manifest of a training with a curve, decisions and three variants."""
    metrics = metrics_of(classes, accuracy, seed)
    epochs = tuple(
        Epoch(epoch=n, train_loss=2 / n, val_loss=2 / n + 0.02 * n, val_accuracy=accuracy, seconds=16.0)
        for n in range(1, 13)
    )
    speeds = {"fp32": (125.0, 13_600_000, 0.885), "fp16": (118.0, 6_900_000, 0.885), "int8": (215.0, 3_600_000, 0.883)}
    variants = tuple(
        VARIANT.model_copy(update={"name": name, "images_per_second": speed, "size": size, "accuracy": right})
        for name, (speed, size, right) in speeds.items()
    )
    values: dict[str, Any] = {
        "labels": classes,
        "dataset": "clothing@1",
        "metrics": EvaluationMetrics(val=metrics, test=metrics),
        "epochs": epochs,
        "best_epoch": 10,
        "variants": variants,
        "serving": "int8",
        "decisions": DECISIONS,
        "unknown_below": 0.46,
        "parameters": 3_413_000,
        "lineage": LINEAGE.model_copy(update={"parent": "lite0", "spec": {"epochs": 12}}),
        "training_images": TrainingImages(
            judged=300, accuracy=0.9, label_errors=suspects, label_error_count=len(suspects)
        ),
    }
    return MODEL_MANIFEST.model_copy(update=values | changes)


def add_version(site: Site, name: str, manifest: ModelManifest) -> Job:
    """Publish the next version of a model."""
    spec = TrainSpec(dataset=manifest.dataset or "clothing@1", model=name)
    return publish(site.stores, TrainRequest(kind=JobKind.TRAIN, spec=spec), manifest)


def add_evaluation(
    site: Site,
    model: str,
    metrics: Metrics,
    images: tuple[JudgedImage, ...],
    baseline: str | None = None,
    dataset: str = "clothing@1",
) -> Job:
    """Publish an evaluation on the test split, with a file of the judged images."""
    lines = "".join(json.dumps(image.model_dump(), ensure_ascii=False) + "\n" for image in images)
    wrong = tuple(image for image in images if image.label != image.predicted)
    comparison = Comparison(
        better=19,
        worse=8,
        both_right=320,
        both_wrong=25,
        test="exact",
        p_value=0.052,
        statement=f"{model} is right on 19 images that {baseline} gets wrong, and wrong on 8 that it gets right.",
    )
    report = EvaluationReport(
        model=model,
        dataset=dataset,
        split=Split.TEST,
        count=len(images),
        failed=0,
        summary=(f"{model} is right on {metrics.accuracy:.1%} of {len(images)} images.",),
        warnings=(),
        metrics=metrics,
        baseline=Baseline(model=baseline, metrics=metrics) if baseline else None,
        comparison=comparison if baseline else None,
        temperature=Temperature(
            temperature=1.34,
            chosen_on=Split.VAL,
            loss_before=0.5,
            loss_after=0.4,
            calibration_error_before=0.25,
            calibration_error_after=0.125,
        ),
        mistakes=wrong,
        label_error_count=2,
    )
    spec = EvaluateSpec(model=model, dataset=dataset, compare_with=baseline)
    file = site.objects.put(Bucket.JOBS, f"rows-{model}-{baseline}", lines.encode())
    request = EvaluateRequest(kind=JobKind("evaluate"), spec=spec)
    return publish(site.stores, request, EvaluationOutput(artifact=file, report=report))


def records_of(site: Site, manifest: DatasetManifest) -> tuple[ImageRecord, ...]:
    """Return the records of a dataset's images."""
    assert manifest.index is not None
    return records(read_index(io.BytesIO(site.objects.read(manifest.index))))


def judged(images_of_all: tuple[ImageRecord, ...], classes: tuple[str, ...]) -> tuple[JudgedImage, ...]:
    """Let a model name every third image of the test split wrong."""
    images = []
    for number, record in enumerate(record for record in images_of_all if record.split is Split.TEST):
        place = classes.index(record.label) + (1 if number % 3 == 0 else 0)
        predicted = classes[place % len(classes)]
        score = 0.97 - number / 100
        images.append(
            JudgedImage(
                image=number,
                sha256=record.sha256,
                path=record.path,
                label=record.label,
                predicted=predicted,
                score=score,
                label_score=score if predicted == record.label else 0.02,
            )
        )
    return tuple(images)


def fill(site: Site, folder: Path) -> None:
    """Add the dataset, four versions of `clothing`, the newest as a shadow, two other models, and evaluations."""
    manifest, records = add_clothing(site, folder)
    classes, images = manifest.classes, judged(records, manifest.classes)
    first = next(record for record in records if record.split is Split.TRAIN)
    suspect = LabelError(
        image=0,
        sha256=first.sha256,
        path=first.path,
        label=first.label,
        predicted="skirt",
        score=0.91,
        label_score=0.03,
        suggested="skirt",
        margin=-0.88,
    )
    for number, accuracy in enumerate((0.78, 0.84, 0.87, 0.9), 1):
        add_version(site, "clothing", trained(classes, accuracy, number, (suspect,)))
    scratch = LINEAGE.model_copy(update={"parent": None, "spec": {"method": "scratch", "epochs": 40}})
    add_version(site, "clothing-small", trained(classes, 0.71, 9, lineage=scratch, parameters=190_000))
    add_version(site, "signs", trained(tuple(f"sign {n}" for n in range(43)), 0.93, 7, dataset="signs@3"))
    site.own.models.split_alias("clothing", "production", Traffic(versions={3: 90, 2: 10}, shadow=4))
    site.own.models.set_alias("signs", "production", 1)
    add_evaluation(site, "clothing@3", metrics_of(classes, 0.87, 3), images, "clothing@4")
