"""The handler of evaluation jobs: judge a model, and another one, on a split, through the engine that serves."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from contract.artifacts import ObjectRef
from contract.base import Frozen
from contract.datasets import DatasetManifest, Split
from contract.division import Division, PartDone
from contract.kinds.evaluate import EvaluateSpec, EvaluationOutput
from contract.kinds.kind import Manifests
from contract.references import Reference
from contract.training import ModelManifest
from services.inference.engine.loader import ModelLoader
from services.inference.engine.model import LoadedModel
from services.inference.judging.answers import Answers, Logits, joined, load, name_of, run, save
from services.inference.judging.images import labels_of, opened, originals
from services.inference.judging.report import Judged, make_report
from services.inference.judging.rows import rows_of, write
from services.inference.settings import InferenceSettings
from worker.slicing import PartSettings, Slice, sliced
from worker.task import Task


class PartResult(Frozen):
    """The object that holds the logits of one part."""

    logits: ObjectRef


def evaluate(task: Task) -> EvaluationOutput | Division | PartDone:
    """Judge the model, in parts if there are more than TIDEPOOL_PART_IMAGES; raises Invalid, BadModel, NotFound."""
    job = Evaluation.of(task)
    if task.parts is not None:
        return _published(task, job, _fetched(task, task.parts))
    most = PartSettings().part_images
    if task.part is None and len(job) > most:
        return sliced(len(job), most)
    span = Slice(start=0, stop=len(job)) if task.part is None else Slice.model_validate(task.part)
    logits = _run(task, job, span)
    if task.part is None:
        return _published(task, job, logits)
    file = task.folder / "logits.npz"
    save(logits, file)
    return PartDone(result=PartResult(logits=task.put(file.name, file)).model_dump(mode="json"))


@dataclass(frozen=True)
class Evaluation:
    """What a job evaluates. Its images are those of the split, then those of the validation split, if that is another.

    The validation images choose the temperature and the threshold of the model.
    """

    spec: EvaluateSpec
    reference: Reference
    dataset: DatasetManifest
    models: tuple[ModelManifest, ...]

    @classmethod
    def of(cls, task: Task) -> Self:
        """Look up what the job refers to; raises Invalid if it does not fit."""
        spec = EvaluateSpec.model_validate(task.job.spec)
        reference, dataset = task.datasets.manifest(Reference.parse(spec.dataset))
        models = {name: task.models.manifest(Reference.parse(name))[1] for name in spec.models}
        spec.check(Manifests({spec.dataset: dataset}, models))
        return cls(spec, reference, dataset, tuple(models[name] for name in spec.models))

    @property
    def splits(self) -> tuple[Split, ...]:
        has_validation = self.spec.split is not Split.VAL and self.dataset.shards.get(Split.VAL)
        return (self.spec.split, Split.VAL) if has_validation else (self.spec.split,)

    def count(self, split: Split) -> int:
        return sum(shard.count for shard in self.dataset.shards[split])

    def __len__(self) -> int:
        return sum(self.count(split) for split in self.splits)

    def slices(self, span: Slice) -> Iterator[tuple[Split, Slice]]:
        """Yield the slices of splits that a slice of the job's images consists of."""
        begin = 0
        for split in self.splits:
            end = begin + self.count(split)
            first, last = max(span.start, begin), min(span.stop, end)
            if first < last:
                yield split, Slice(start=first - begin, stop=last - begin)
            begin = end


def _run(task: Task, job: Evaluation, span: Slice) -> Logits:
    """Return the logits of every model for a slice; the baseline needs no validation images."""
    logits: Logits = {}
    slices = [list(job.slices(span)), [(split, part) for split, part in job.slices(span) if split is job.spec.split]]
    total = sum(len(part) for parts in slices[: len(job.models)] for _, part in parts)
    done = 0
    for number, manifest in enumerate(job.models):
        model = _loaded(task, manifest)
        for split, part in slices[number]:
            batches = []
            with opened(task, job.reference, job.dataset, split, part, model.card.preprocessing.image) as images:
                for batch in run(model, images):
                    batches.append(batch)
                    done += len(batch)
                    task.report(done / total, f"{job.spec.models[number]}: {done} of {total} images")
            logits[name_of(number, split)] = np.concatenate(batches)
    return logits


def _loaded(task: Task, manifest: ModelManifest) -> LoadedModel:
    file = task.folder / f"model-{manifest.artifact.sha256}.onnx"
    task.objects.fetch(manifest.artifact, file)
    return ModelLoader.of(InferenceSettings()).load(file)


def _fetched(task: Task, parts: Sequence[object]) -> Logits:
    file = task.folder / "logits.npz"
    logits = []
    for number, part in enumerate(parts):
        task.report(number / len(parts), "combining the answers of the parts")
        task.objects.fetch(PartResult.model_validate(part).logits, file)
        logits.append(load(file))
    return joined(logits)


def _published(task: Task, job: Evaluation, logits: Logits) -> EvaluationOutput:
    spec, split = job.spec, job.spec.split
    classes = np.array(job.dataset.classes)
    truth = classes[labels_of(task, job.dataset, split)]
    judged = Judged(
        spec=spec,
        answers=Answers.of(job.models[0].labels, logits[name_of(0, split)], truth),
        baseline=Answers.of(job.models[1].labels, logits[name_of(1, split)], truth) if len(job.models) > 1 else None,
        validation=_validation(task, job, logits),
        index=originals(task, job.dataset, split),
        trained_on={name: model.dataset for name, model in zip(spec.models, job.models, strict=True)},
    )
    task.report(1.0, "judging the answers")
    report, suspects = make_report(judged)
    file = task.folder / f"evaluation.{spec.format}"
    write(rows_of(judged.answers, judged.baseline, suspects, judged.index), spec.format, file)
    return EvaluationOutput(artifact=task.put(file.name, file), report=report)


def _validation(task: Task, job: Evaluation, logits: Logits) -> Answers | None:
    """Return the answers to the validation images of classes that the model knows, if they are not those judged."""
    if Split.VAL not in job.splits or job.spec.split is Split.VAL:
        return None
    labels, outputs = job.models[0].labels, logits[name_of(0, Split.VAL)]
    classes = np.array(job.dataset.classes)[labels_of(task, job.dataset, Split.VAL)]
    known = np.isin(classes, np.array(labels))
    answers = Answers.of(labels, outputs[known], classes[known])
    answers = answers.only(answers.valid)
    return answers if len(answers) else None
