"""The handler of preprocessing jobs: from an upload to a data set's manifest."""

from contract.datasets import DatasetManifest, Shard
from contract.division import Division, PartDone
from contract.kinds.preprocess import PreprocessSpec
from media.archives.limits import Limits
from services.preprocess.assembly import assembled
from services.preprocess.piece import Piece
from services.preprocess.pipeline import opened
from services.preprocess.shards import ShardFile
from worker.slicing import PartSettings, Slice, sliced
from worker.task import Task


def preprocess(task: Task) -> DatasetManifest | Division | PartDone:
    """Turn the job's upload into shards and their manifest; a large one in parts, each a span of its images.

    Raises BadArchive and BadDataset for the client to read.
    """
    spec = PreprocessSpec.model_validate(task.job.spec)
    if task.parts is not None:
        return assembled([Piece.model_validate(part) for part in task.parts], spec.image, Limits())
    archive = task.folder / "upload.zip"
    task.objects.fetch(task.uploads.ref(spec.source.upload), archive)
    with opened(archive, spec, Limits()) as preparation:
        most = PartSettings().part_images
        if task.part is None and len(preparation.whole) > most:
            return sliced(len(preparation.whole), most)
        span = preparation.whole if task.part is None else Slice.model_validate(task.part)
        piece = preparation.piece(span, task.folder, lambda file: _stored(task, file), task.report)
    if task.part is None:
        return assembled([piece], spec.image, Limits())
    return PartDone(result=piece.model_dump(mode="json"))


def _stored(task: Task, file: ShardFile) -> Shard:
    return Shard(
        count=file.count,
        images=task.put(file.images.name, file.images),
        labels=task.put(file.labels.name, file.labels),
    )
