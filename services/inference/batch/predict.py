"""The handler of prediction jobs: classify the images of a split or an archive into one file of predictions."""

from collections.abc import Iterator, Sequence

from contract.artifacts import ObjectRef
from contract.division import Division, PartDone
from contract.errors import Invalid
from contract.kinds.predict import PredictionOutput, PredictSpec, SplitInput, check_images
from contract.references import Reference, UploadSource
from contract.training import ModelManifest
from contract.variants import VariantName, serving_artifact
from media.archives.limits import Limits
from media.archives.unpacking import unpacked
from media.judging.tally import Tally
from services.inference.batch import formats
from services.inference.batch.classify import Classified, Classifier, has_all_labels
from services.inference.batch.names import named
from services.inference.batch.rows import PredictionRow, read_lines
from services.inference.batch.sources import ArchiveSource, ImageSource, ShardSource, planned_files
from services.inference.engine.loader import ModelLoader
from services.inference.engine.model import LoadedModel
from services.inference.settings import InferenceSettings
from worker.members import Members, MembersPart, divided
from worker.slicing import PartSettings, Slice, sliced
from worker.task import Task


class PartResult(Classified):
    """The totals of one part of a job, the object that holds its rows, and the variant that classified them."""

    rows: ObjectRef
    model_variant: VariantName | None = None


def predict(task: Task) -> PredictionOutput | Division | PartDone:
    """Classify the job's images, in parts if there are more than TIDEPOOL_PART_IMAGES.

    Raises Invalid, BadArchive, NotFound.
    """
    spec = PredictSpec.model_validate(task.job.spec)
    _, model = task.models.manifest(Reference.parse(spec.model))
    if task.parts is not None:
        done = [PartResult.model_validate(part) for part in task.parts]
        variants = {part.model_variant for part in done}  # several if it was pinned meanwhile
        return _published(task, spec, model, done, _rows_of(task, done), *(variants if len(variants) == 1 else [None]))
    if isinstance(spec.input, UploadSource):
        return _predict_archive(task, spec, model, spec.input)
    return _predict_split(task, spec, model, spec.input)


def _predict_split(
    task: Task, spec: PredictSpec, model: ModelManifest, split: SplitInput
) -> PredictionOutput | Division | PartDone:
    source = _split_source(task, model, split)
    most = PartSettings().part_images
    if task.part is None:
        if not has_all_labels(source.classes, model.labels):
            task.log("the dataset has classes that the model does not know, so there are no metrics")
        if len(source) > most:
            return sliced(len(source), most)
    span = Slice(start=0, stop=len(source)) if task.part is None else Slice.model_validate(task.part)
    return _classified(task, spec, model, source, span)


def _predict_archive(
    task: Task, spec: PredictSpec, model: ModelManifest, source: UploadSource
) -> PredictionOutput | Division | PartDone:
    image = model.card.preprocessing.image
    if task.part is not None:
        members = Members.of_part(task, MembersPart.model_validate(task.part), Limits())
        return _classified(task, spec, model, ArchiveSource(members, image), Slice(start=0, stop=len(members)))
    reference, upload = task.uploads.ref(source.upload), task.folder / "upload"
    task.objects.fetch(reference, upload)
    archive = unpacked(upload, task.folder / "upload.tar", Limits())
    rows, most = planned_files(archive, Limits()), PartSettings().part_images
    if len(rows) > most:
        stored = reference if archive == upload else task.put(archive.name, archive)
        return divided(task, b"{}", rows, archive, stored, most)
    members = Members.of_file(rows, archive, Limits())
    return _classified(task, spec, model, ArchiveSource(members, image), Slice(start=0, stop=len(rows)))


def _classified(
    task: Task, spec: PredictSpec, model: ModelManifest, source: ImageSource, span: Slice
) -> PredictionOutput | PartDone:
    """Classify the images of a part, or all of them."""
    variant, artifact = serving_artifact(model)
    rows = task.folder / "rows.jsonl"
    classified = Classifier(_loaded(task, artifact), source, span, spec.top_k, task.report).run(rows)
    if task.part is None:
        return _published(task, spec, model, [classified], read_lines(rows), variant)
    part = PartResult(**dict(classified), rows=task.put(rows.name, rows), model_variant=variant)
    return PartDone(result=part.model_dump(mode="json"))


def _split_source(task: Task, model: ModelManifest, source: SplitInput) -> ShardSource:
    reference, dataset = task.datasets.manifest(Reference.parse(source.dataset))
    check_images(model.card.preprocessing.image, dataset.image)
    shards = dataset.shards.get(source.split)
    if not shards:
        raise Invalid(f"the dataset {reference} has no {source.split} split")
    return ShardSource(shards, dataset.classes, task.objects.fetch, task.folder)


def _loaded(task: Task, artifact: ObjectRef) -> LoadedModel:
    file = task.folder / "model.onnx"
    task.objects.fetch(artifact, file)
    return ModelLoader.of(InferenceSettings()).load(file)


def _rows_of(task: Task, parts: list[PartResult]) -> Iterator[PredictionRow]:
    """Yield the rows of all parts in order; one part at a time is on disk."""
    path = task.folder / "rows.jsonl"
    for number, part in enumerate(parts):
        task.report(number / len(parts), "putting the predictions of the parts together")
        task.objects.fetch(part.rows, path)
        yield from read_lines(path)


def _published(
    task: Task,
    spec: PredictSpec,
    model: ModelManifest,
    parts: Sequence[Classified],
    rows: Iterator[PredictionRow],
    variant: VariantName | None,
) -> PredictionOutput:
    file = task.folder / f"predictions.{spec.format}"
    rows, numbered = _named(task, spec, rows)
    table = formats.Table(min(spec.top_k, len(model.labels)), numbered)
    formats.write(rows, spec.format, table, file)
    tally = sum((part.tally for part in parts), start=Tally())
    return PredictionOutput(
        artifact=task.put(file.name, file),
        count=sum(part.count for part in parts),
        failed=sum(part.failed for part in parts),
        metrics=tally.metrics(model.labels) if tally.count else None,
        model_variant=variant,
    )


def _named(task: Task, spec: PredictSpec, rows: Iterator[PredictionRow]) -> tuple[Iterator[PredictionRow], bool]:
    """Return the rows with the names of their images, and whether they are only numbers."""
    if not isinstance(spec.input, SplitInput):
        return rows, False
    _, dataset = task.datasets.manifest(Reference.parse(spec.input.dataset))
    if dataset.index is None:
        return rows, True
    index = task.folder / "index.parquet"
    task.objects.fetch(dataset.index, index)
    return named(rows, index, spec.input.split, dataset.shards[spec.input.split]), False
