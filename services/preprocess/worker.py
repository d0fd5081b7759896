"""The only place where preprocessing meets jobs: an upload comes in, a data set's manifest goes out."""

from contract.datasets import DatasetManifest, Shard
from contract.jobs import PreprocessSpec
from runtime.task import Task
from services.preprocess.limits import Limits
from services.preprocess.pipeline import prepare
from services.preprocess.shards import ShardFile


def preprocess(task: Task) -> DatasetManifest:
    """Turn the job's upload into shards and their manifest; raises BadArchive and BadDataset for the client to read."""
    spec = PreprocessSpec.model_validate(task.job.spec)
    archive = task.folder / "upload.zip"
    task.objects.fetch(task.uploads.ref(spec.source.upload), archive)
    prepared = prepare(archive, spec, task.folder, Limits(), task.report)
    return DatasetManifest(
        classes=prepared.classes,
        image=spec.image,
        mean=prepared.mean,
        std=prepared.std,
        counts=prepared.counts,
        counts_by_class=prepared.counts_by_class,
        shards={split: tuple(_stored(task, file) for file in files) for split, files in prepared.shards.items()},
        rejected=prepared.rejected,
        rejected_files=prepared.rejected_files,
        thumbnails=prepared.thumbnails,
    )


def _stored(task: Task, file: ShardFile) -> Shard:
    return Shard(
        count=file.count,
        images=task.put(file.images.name, file.images),
        labels=task.put(file.labels.name, file.labels),
    )
