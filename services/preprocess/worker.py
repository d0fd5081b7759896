"""The handler of preprocessing jobs, which turn an upload into a dataset's manifest."""

from contract.datasets import DatasetManifest, Shard
from contract.division import Division, PartDone
from contract.images import ImageSpec
from contract.kinds.preprocess import PreprocessSpec
from media.archives.limits import Limits
from services.preprocess.parts import PreparedPart, merge_parts
from services.preprocess.pipeline import opened
from services.preprocess.shards import ShardFile
from worker.slicing import PartSettings, Slice, sliced
from worker.task import Task


def preprocess(task: Task) -> DatasetManifest | Division | PartDone:
    """Turn the job's upload into shards and their manifest; a large one in parts, each a slice of its images.

    Raise BadArchive or BadDataset if the upload cannot be used; clients see their messages.
    """
    spec = PreprocessSpec.model_validate(task.job.spec)
    image = spec.image.spec or ImageSpec()
    if task.parts is not None:
        return merge_parts([PreparedPart.model_validate(part) for part in task.parts], image, Limits())
    archive = task.folder / "upload.zip"
    task.objects.fetch(task.uploads.ref(spec.source.upload), archive)
    with opened(archive, spec, Limits()) as preparation:
        most = PartSettings().part_images
        if task.part is None and len(preparation.whole) > most:
            return sliced(len(preparation.whole), most)
        images = preparation.whole if task.part is None else Slice.model_validate(task.part)
        part = preparation.prepare(images, task.folder, lambda file: _stored(task, file), task.report)
    if task.part is None:
        return merge_parts([part], image, Limits())
    return PartDone(result=part.model_dump(mode="json"))


def _stored(task: Task, file: ShardFile) -> Shard:
    return Shard(
        count=file.count,
        images=task.put(file.images.name, file.images),
        labels=task.put(file.labels.name, file.labels),
    )
