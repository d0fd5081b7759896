"""The handler of preprocessing jobs, which turn an upload into a dataset's manifest."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from contract.artifacts import ObjectRef
from contract.datasets import DatasetManifest
from contract.division import Division, PartDone
from contract.kinds.preprocess import PreprocessSpec
from contract.references import S3Source, UploadSource
from media.archives.limits import MIB, Limits
from media.archives.rejections import Rejections
from media.archives.unpacking import unpacked
from services.preprocess.parts import PreparedPart, merge_parts
from services.preprocess.pipeline import prepare
from services.preprocess.plan import Plan, PlanHead, plan_dataset, plan_files
from services.preprocess.sources import ObjectFiles, object_members
from services.storage.sources import SourcePrefix
from worker.members import Members, MembersPart, Readable, divided, rows_of
from worker.slicing import PartSettings
from worker.task import Task

_PIXEL_BYTES = 512 * MIB  # of the shards of a part, which are on its disk


class DonePart(PreparedPart):
    """A prepared part, and the plan that it is of."""

    plan: ObjectRef


def preprocess(task: Task) -> DatasetManifest | Division | PartDone:
    """Turn the job's upload into shards, an index and their manifest.

    The first attempt plans; a large archive is then divided, and each part fetches only its bytes of the archive.
    Raise BadArchive or BadDataset if the upload cannot be used; clients see their messages.
    """
    if task.parts is not None:
        parts = [DonePart.model_validate(part) for part in task.parts]
        return _merged(task, _head(task, parts[0].plan), parts)
    if task.part is not None:
        return _part(task, MembersPart.model_validate(task.part))
    spec = PreprocessSpec.model_validate(task.job.spec)
    if isinstance(spec.source, S3Source):
        return _planned_prefix(task, spec, spec.source)
    return _planned_archive(task, spec, spec.source)


def _planned_archive(task: Task, spec: PreprocessSpec, source: UploadSource) -> DatasetManifest | Division:
    upload, upload_file = task.uploads.ref(source.upload), task.folder / "upload"
    task.objects.fetch(upload, upload_file)
    archive = unpacked(upload_file, task.folder / "upload.tar", Limits())
    plan = plan_dataset(archive, spec, Limits(), places=archive == upload_file)
    _log(task, plan)
    if len(plan.rows) <= _most(plan.head):
        return _whole(task, plan, Members.of_file(plan.rows, archive, Limits()))
    reference = upload if archive == upload_file else _put(task, archive)
    return divided(task, plan.head.model_dump_json().encode(), plan.rows, archive, reference, _most(plan.head))


def _planned_prefix(task: Task, spec: PreprocessSpec, source: S3Source) -> DatasetManifest | Division:
    prefix, rejections = SourcePrefix.from_environment(source), Rejections()
    files = ObjectFiles(prefix, Limits(), rejections)
    plan = plan_files(files, spec, rejections, places=False)
    _log(task, plan)
    etags = [files.etag(path) for path in plan.rows["path"].to_pylist()]
    rows = plan.rows.append_column("etag", pa.array(etags, pa.string()))
    if len(rows) <= _most(plan.head):
        return _whole(task, plan, object_members(rows, prefix, Limits()))
    return divided(task, plan.head.model_dump_json().encode(), rows, task.folder, None, _most(plan.head))


def _whole(task: Task, plan: Plan, members: Readable) -> DatasetManifest:
    part = prepare(plan.head, members, task.folder, lambda file: _put(task, file), task.report)
    return _merged(task, plan.head, [part])


def _part(task: Task, part: MembersPart) -> PartDone:
    head = _head(task, part.plan)
    members: Readable
    if isinstance(source := PreprocessSpec.model_validate(task.job.spec).source, S3Source):
        members = object_members(rows_of(task, part), SourcePrefix.from_environment(source), Limits())
    else:
        members = Members.of_part(task, part, Limits())
    prepared = prepare(head, members, task.folder, lambda file: _put(task, file), task.report)
    return PartDone(result=DonePart(**dict(prepared), plan=part.plan).model_dump(mode="json"))


def _merged(task: Task, head: PlanHead, parts: Sequence[PreparedPart]) -> DatasetManifest:
    return merge_parts(head, parts, task.folder, task.objects.fetch, lambda file: _put(task, file), Limits())


def _head(task: Task, plan: ObjectRef) -> PlanHead:
    return PlanHead.model_validate_json(task.objects.read(plan))


def _put(task: Task, file: Path) -> ObjectRef:
    return task.put(file.name, file)


def _log(task: Task, plan: Plan) -> None:
    for choice in plan.head.decisions:
        value = " × ".join(map(str, choice.value)) if isinstance(choice.value, list | tuple) else choice.value
        task.log(f"{choice.what.replace('.', ' ').replace('_', ' ')}: {value}, because {choice.because}")


def _most(head: PlanHead) -> int:
    """Return the largest number of images in a part."""
    channels, height, width = head.image.shape
    return min(PartSettings().part_images, max(1, _PIXEL_BYTES // (channels * height * width)))
