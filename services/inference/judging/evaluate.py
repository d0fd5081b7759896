"""The handler of evaluation jobs: judge a model, and another one, on a split, through the engine that serves."""

from collections.abc import Sequence

import numpy as np

from contract.artifacts import ObjectRef
from contract.base import Frozen
from contract.datasets import Split
from contract.division import Division, PartDone
from contract.kinds.evaluate import EvaluationOutput
from contract.training import ModelManifest
from contract.variants import VariantName, serving_artifact
from services.inference.engine.loader import ModelLoader
from services.inference.engine.model import LoadedModel
from services.inference.judging.answers import Answers, Outputs, joined, load, run, save
from services.inference.judging.evaluation import Evaluation
from services.inference.judging.images import Images, ShardImages
from services.inference.judging.originals import originals, part_of_originals, plan_originals, training_images
from services.inference.judging.report import Judged, make_report
from services.inference.judging.rows import rows_of, write
from services.inference.judging.sentences import Training
from services.inference.settings import InferenceSettings
from worker.members import MembersPart
from worker.slicing import PartSettings, Slice, sliced
from worker.task import Task

Variants = tuple[VariantName | None, ...]
"""The file of each model that answers; None if parts were answered by different ones."""


class PartResult(Frozen):
    """The object that holds the logits of one part, and the variants that gave them."""

    logits: ObjectRef
    variants: Variants


def evaluate(task: Task) -> EvaluationOutput | Division | PartDone:
    """Judge the model, in parts if there are more than TIDEPOOL_PART_IMAGES; raises Invalid, BadModel, NotFound."""
    job = Evaluation.of(task)
    if task.parts is not None:
        parts = [PartResult.model_validate(part) for part in task.parts]
        return _published(task, job, _fetched(task, job, parts), _common(parts))
    images = _images(task, job)
    if isinstance(images, Division):
        return images
    outputs = _run(task, job, images)
    variants = tuple(serving_artifact(model)[0] for model in job.models)
    if task.part is None:
        return _published(task, job, outputs, variants)
    file = task.folder / "logits.npz"
    save(outputs, file)
    return PartDone(result=PartResult(logits=task.put(file.name, file), variants=variants).model_dump(mode="json"))


def _images(task: Task, job: Evaluation) -> Division | Images:
    """Return the images of the part or of the whole job, or how to divide it."""
    most = PartSettings().part_images
    if job.needs_originals:
        if task.part is None:
            return plan_originals(task, job, most)
        return part_of_originals(task, job, MembersPart.model_validate(task.part))
    if task.part is None and len(job) > most:
        return sliced(len(job), most)
    whole = Slice(start=0, stop=len(job))
    return ShardImages(task, job, whole if task.part is None else Slice.model_validate(task.part))


def _run(task: Task, job: Evaluation, images: Images) -> list[Outputs]:
    """Return the outputs of each model."""
    total = sum(images.count(job.splits_of(number)) for number in range(len(job.models)))
    done, outputs = 0, []
    for number, manifest in enumerate(job.models):
        model = _loaded(task, manifest)
        labels = len(manifest.labels)
        batches = [Outputs(np.empty(0, "U5"), np.empty(0, np.int64), np.empty((0, labels), np.float32))]
        for batch in run(model, images.images(manifest.card.preprocessing.image, job.splits_of(number))):
            batches.append(batch)
            done += len(batch.numbers)
            task.report(done / total, f"{job.spec.models[number]}: {done} of {total} images")
        outputs.append(joined(batches))
    return outputs


def _loaded(task: Task, manifest: ModelManifest) -> LoadedModel:
    _, artifact = serving_artifact(manifest)
    file = task.folder / f"model-{artifact.sha256}.onnx"
    task.objects.fetch(artifact, file)
    return ModelLoader.of(InferenceSettings()).load(file)


def _common(parts: Sequence[PartResult]) -> Variants:
    by_model = [set(variants) for variants in zip(*(part.variants for part in parts), strict=True)]
    return tuple(variants.pop() if len(variants) == 1 else None for variants in by_model)


def _fetched(task: Task, job: Evaluation, parts: Sequence[PartResult]) -> list[Outputs]:
    file = task.folder / "logits.npz"
    outputs = []
    for number, part in enumerate(parts):
        task.report(number / len(parts), "putting the answers of the parts together")
        task.objects.fetch(part.logits, file)
        outputs.append(load(file, len(job.models)))
    return [joined(of_model) for of_model in zip(*outputs, strict=True)]


def _published(task: Task, job: Evaluation, outputs: list[Outputs], variants: Variants) -> EvaluationOutput:
    spec, split, count = job.spec, job.spec.split, job.count(job.spec.split)
    truth = job.truth(task, split)
    answers, *baselines = (
        Answers.of(model.labels, output.of_split(split, count), truth)
        for model, output in zip(job.models, outputs, strict=True)
    )
    index = originals(task, job.dataset, split)
    own = split is Split.TRAIN and job.models[0].dataset == spec.dataset
    judged = Judged(
        spec=spec,
        variants=variants,
        answers=answers,
        baseline=baselines[0] if baselines else None,
        validation=_validation(task, job, outputs[0]),
        index=index,
        training={
            name: Training(model.dataset, training_images(task, model.dataset, index))
            for name, model in zip(spec.models, job.models, strict=True)
        },
        noticed=job.models[0].training_images if own else None,
    )
    task.report(1.0, "comparing the answers with the labels")
    report, suspects = make_report(judged)
    file = task.folder / f"evaluation.{spec.format}"
    write(rows_of(judged.answers, judged.baseline, suspects, judged.index), spec.format, file)
    return EvaluationOutput(artifact=task.put(file.name, file), report=report)


def _validation(task: Task, job: Evaluation, output: Outputs) -> Answers | None:
    """Return the answers to the validation images of classes that the model knows, if they are not those judged."""
    if job.splits[1:] != (Split.VAL,):
        return None
    labels, classes = job.models[0].labels, job.truth(task, Split.VAL)
    known = np.isin(classes, np.array(labels))
    answers = Answers.of(labels, output.of_split(Split.VAL, len(classes))[known], classes[known])
    answers = answers.only(answers.valid)
    return answers if len(answers) else None
