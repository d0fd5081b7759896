"""Fills a site with what a small team may have: data sets of photos, models, jobs in all states, usage."""

import itertools
import math
import random
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from sqlalchemy import update

from contract.artifacts import Bucket, upload_key
from contract.datasets import DatasetManifest, Rejected
from contract.errors import BadArchive, JobFailed
from contract.evaluation import ClassMetrics, EvaluationMetrics, Metrics
from contract.images import ImageRequest
from contract.jobs import Job, JobKind, Progress
from contract.kinds.predict import PredictRequest, PredictSpec, SplitInput
from contract.kinds.preprocess import PreprocessRequest, PreprocessSpec
from contract.kinds.train import TrainRequest, TrainSpec
from contract.references import UploadSource
from contract.training import Epoch, ModelManifest
from contract.usage import Purpose, Use
from services.storage import tables
from services.storage.catalog.uploads import new_upload_id
from services.storage.jobs.leases import Leases
from services.storage.pools.pools import Pools
from tests.console.models_seed import DECISIONS, add_evaluation, judged, metrics_of, records_of, trained
from tests.console.people_seed import add_people
from tests.console.reviews_seed import add_reviews
from tests.console.search_seed import add_search
from tests.console.site import Site
from tests.examples import MODEL_MANIFEST
from tests.support.images import zipped
from tests.support.preparation import Workshop
from tests.support.publication import publish

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "clothing-sample.zip"
IMAGE = ImageRequest(size=(96, 96), mode="RGB", resize="pad")


def photos(each: int) -> dict[str, bytes]:
    """Some photos of every class and split of the sample."""
    with zipfile.ZipFile(SAMPLE) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        folders = itertools.groupby(names, key=lambda name: name.rpartition("/")[0])
        return {name: archive.read(name) for _, group in folders for name in itertools.islice(group, each)}


def add_dataset(site: Site, folder: Path, name: str, files: dict[str, bytes], **changes: object) -> DatasetManifest:
    """Publish a version of a dataset, prepared from the files."""
    upload_id = new_upload_id()
    spec = PreprocessSpec(dataset=name, source=UploadSource(upload=upload_id), image=IMAGE)
    folder.mkdir(exist_ok=True)
    path = zipped(folder / f"{upload_id}.zip", files)
    site.own.uploads.add(
        f"{name}.zip", site.objects.put(Bucket.UPLOADS, upload_key(upload_id, "default"), path.read_bytes())
    )
    manifest = Workshop(folder, site.objects).prepare(files, spec).model_copy(update=changes)
    publish(site.stores, PreprocessRequest(kind=JobKind.PREPROCESS, spec=spec), manifest)
    return manifest


def add_model(site: Site, name: str, dataset: str, classes: tuple[str, ...], accuracy: float) -> Job:
    """Publish a version of a model with invented metrics."""
    chance = random.Random(f"{name}{accuracy}")
    matrix = [[0] * len(classes) for _ in classes]
    for row, column in itertools.product(range(len(classes)), repeat=2):
        hit = round(chance.uniform(0.9, 1.02) * 38 * accuracy)
        matrix[row][column] = hit if row == column else chance.choice([0, 0, 0, 0, 0, 1, 1, 2])
    per_class = {
        label: ClassMetrics(
            precision=matrix[i][i] / max(1, sum(row[i] for row in matrix)),
            recall=matrix[i][i] / sum(matrix[i]),
            f1=2 * matrix[i][i] / (sum(matrix[i]) + sum(row[i] for row in matrix)),
            support=sum(matrix[i]),
        )
        for i, label in enumerate(classes)
    }
    total, right = sum(map(sum, matrix)), sum(matrix[i][i] for i in range(len(classes)))
    metrics = Metrics(
        accuracy=right / total,
        accuracy_interval=(right / total - 0.031, min(1.0, right / total + 0.029)),
        balanced_accuracy=sum(line.recall for line in per_class.values()) / len(classes),
        macro_f1=sum(line.f1 for line in per_class.values()) / len(classes),
        top5_accuracy=0.99 if len(classes) > 5 else None,
        loss=0.41,
        expected_calibration_error=0.019,
        confusion_matrix=tuple(map(tuple, matrix)),
        per_class=per_class,
    )
    manifest: ModelManifest = MODEL_MANIFEST.model_copy(
        update={
            "labels": classes,
            "dataset": dataset,
            "metrics": EvaluationMetrics(val=metrics, test=metrics),
            "epochs": tuple(epochs(12)),
            "best_epoch": 10,
            "variants": trained(classes, accuracy, 1).variants,
            "serving": "int8",
            "decisions": DECISIONS,
        }
    )
    request = TrainRequest(kind=JobKind.TRAIN, spec=TrainSpec(dataset=dataset, model=name))
    return publish(site.stores, request, manifest)


def epochs(count: int) -> Iterator[Epoch]:
    """A training that learns, then overfits a little."""
    for number in range(1, count + 1):
        loss = 0.25 + 1.9 * math.exp(-number / 4)
        yield Epoch(
            epoch=number,
            train_loss=round(loss, 4),
            val_loss=round(loss + 0.08 + 0.006 * number, 4),
            val_accuracy=round(0.92 - 0.75 * math.exp(-number / 3.2), 4),
            seconds=4.2,
        )


def fill(site: Site, folder: Path, each: int = 6) -> None:
    """Fill the default project; the newest jobs are still running."""
    files = photos(each)
    first = add_dataset(site, folder, "clothing", files)
    small = {name: data for name, data in files.items() if "/hat/" in name or "/shoes/" in name or "/dress/" in name}
    add_dataset(site, folder, "accessories", small)
    copied = [name for name in files if name.startswith("train/")][:: max(1, len(files) // 8)]
    copies = {f"test/{name.split('/')[1]}/copy-{number}.jpg": files[name] for number, name in enumerate(copied)}
    rejected = (
        Rejected(file="train/hat/IMG_2041.jpg", reason="the file ends in the middle of the image"),
        Rejected(file="train/shoes/Thumbs.db", reason="not an image"),
    )
    changes = {"rejected": 2, "rejected_files": rejected}
    newest = add_dataset(site, folder, "clothing", files | copies, **changes)
    for name, dataset, accuracy in (
        ("hand-signs", "accessories@1", 0.99),
        ("clothing", "clothing@1", 0.87),
        ("clothing", "clothing@2", 0.9),
    ):
        add_model(site, name, dataset, first.classes, accuracy)
    site.own.models.set_alias("clothing", "production", 1)
    site.own.models.set_alias("clothing", "production", 2)
    images = judged(records_of(site, newest), newest.classes)
    metrics = metrics_of(newest.classes, 0.9, 2)
    add_evaluation(site, "clothing@2", metrics, images, "clothing@1", dataset="clothing@2")
    site.own.models.set_alias("hand-signs", "production", 1)
    add_reviews(site, list(files.values())[:40], records_of(site, newest))
    add_people(site, newest.classes)
    add_search(site, newest.classes)
    add_jobs(site)
    add_usage(site)


def add_jobs(site: Site) -> None:
    """A failed training and a failed upload, one that was cancelled, and three that are on their way."""
    jobs, leases = site.own.jobs, Leases(site.stores.database)
    diverged = TrainRequest(kind=JobKind.TRAIN, spec=TrainSpec(dataset="clothing@2", model="scans-cnn", epochs=20))
    jobs.create(diverged)
    for _ in range(3):
        claim = leases.claim("train", "trainer-1")
        if claim is None:
            break
        error = JobFailed("the loss became NaN in epoch 3 at a learning rate of 0.9; try 0.1")
        error.retryable = False  # type: ignore[misc]
        leases.fail(claim.lease, error)
    upload = PreprocessSpec(dataset="invoices", source=UploadSource(upload=new_upload_id()))
    jobs.create(PreprocessRequest(kind=JobKind.PREPROCESS, spec=upload))
    claim = leases.claim("preprocess", "preprocess-1")
    assert claim is not None
    leases.fail(claim.lease, BadArchive("invoices.zip is encrypted; upload it without a password"))
    jobs.cancel(jobs.create(diverged).id)
    spec = TrainSpec(dataset="clothing@2", model="clothing", method="fine_tune")
    jobs.create(TrainRequest(kind=JobKind.TRAIN, spec=spec))
    claim = leases.claim("train", "trainer-1")
    assert claim is not None
    for epoch in epochs(7):
        artifact = site.objects.put(Bucket.JOBS, f"checkpoint-{epoch.epoch}", b"1")
        leases.save_checkpoint(claim.lease, artifact, epoch.model_dump())
    leases.log(claim.lease, "init_from = lite0, because it is the best of three on validation")
    leases.renew(
        claim.lease,
        Progress(fraction=0.62, message="learning · pass 7 of 12 over the images"),
    )
    predict = PredictSpec(model="clothing@2", input=SplitInput(dataset="clothing@2", split="test"))
    jobs.create(PredictRequest(kind=JobKind.PREDICT, spec=predict))
    claim = leases.claim("predict", "inference-1")
    assert claim is not None
    leases.renew(claim.lease, Progress(fraction=0.81, message="48,600 of 60,000 images"))
    jobs.create(PredictRequest(kind=JobKind.PREDICT, spec=predict))


def add_usage(site: Site) -> None:
    """A week of replica-seconds, more on weekdays, and a pool that has grown and shrunk."""
    database = site.stores.database
    now, clock = database.now(), database.now
    shares = (0.52, 0.47, 0.44, 0.49, 0.41, 0.18, 0.14)
    for days, share in enumerate(reversed(shares)):
        database.now = lambda days=days: now - timedelta(days=days)  # type: ignore[misc]
        seconds = {
            Use(Purpose.READY): 345_600 * share,
            Use(Purpose.JOB, model="clothing"): 90_000 * share,
            Use(Purpose.ONLINE, model="clothing"): 120_000 * share,
        }
        site.stores.ledger.add("inference", False, seconds)
    with database.write() as connection:
        connection.execute(update(tables.pools).values(created_at=now - timedelta(days=30)))
    pools = Pools(database)
    measured = site.backends.demand.measure()
    for hours, count in ((30, 2), (26, 3), (24, 4), (20, 2), (14, 1), (6, 3), (1, 2)):
        database.now = lambda hours=hours: now - timedelta(hours=hours)  # type: ignore[misc]
        pools.set_manual("inference", count, measured["inference"])
    database.now = clock  # type: ignore[misc]
