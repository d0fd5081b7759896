"""The handler of preprocessing jobs, which turn an upload into a dataset's manifest."""

from collections.abc import Sequence
from pathlib import Path

from contract.artifacts import ObjectRef
from contract.datasets import DatasetManifest
from contract.division import Division, PartDone
from contract.kinds.preprocess import PreprocessSpec
from media.archives.limits import MIB, Limits
from services.preprocess.parts import PreparedPart, merge_parts
from services.preprocess.pipeline import prepare
from services.preprocess.plan import Plan, PlanHead, plan_dataset
from worker.members import Members, MembersPart, divided
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
    upload = task.uploads.ref(spec.source.upload)
    archive = task.folder / "upload.zip"
    task.objects.fetch(upload, archive)
    plan = plan_dataset(archive, spec, Limits())
    _log(task, plan)
    most = min(PartSettings().part_images, max(1, _PIXEL_BYTES // _bytes_of_image(plan.head)))
    if len(plan.rows) > most:
        return divided(task, plan.head.model_dump_json().encode(), plan.rows, archive, upload, most)
    members = Members.of_file(plan.rows, archive, Limits())
    part = prepare(plan.head, members, task.folder, lambda file: _put(task, file), task.report)
    return _merged(task, plan.head, [part])


def _part(task: Task, part: MembersPart) -> PartDone:
    head = _head(task, part.plan)
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
        task.log(f"{choice.what} = {choice.value}, because {choice.because}")


def _bytes_of_image(head: PlanHead) -> int:
    channels, height, width = head.image.shape
    return channels * height * width
