"""The handler of training jobs: from a dataset version and a spec to an evaluated ONNX model."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

from contract.datasets import DatasetManifest, Split
from contract.errors import BadModel
from contract.evaluation import EvaluationMetrics
from contract.images import Preprocessing
from contract.kinds.train import TrainSpec
from contract.models import ModelCard
from contract.references import Reference
from contract.training import BACKBONE_NAMES, ModelManifest, OnnxInfo
from services.trainer.backbones.brought import Graph, brought
from services.trainer.backbones.graph import opset_of
from services.trainer.backbones.registry import BACKBONES
from services.trainer.candidates import Candidate
from services.trainer.cores import share_cores
from services.trainer.data import IndexedImages, ShardFiles, TrainingData, numbers
from services.trainer.drift_reference import MeasuredImages, drift_reference
from services.trainer.evaluate import Runtime, evaluate
from services.trainer.export import export
from services.trainer.features import with_head
from services.trainer.lineage import lineage_of
from services.trainer.methods import best_candidate
from services.trainer.parity import parity
from services.trainer.session import TRAINED, Session
from services.trainer.shards import opened_shards
from services.trainer.state import State
from services.trainer.temperature import calibrate
from services.trainer.variants import make_variants
from worker.task import Task

EXPORTED = 0.95  # the job's progress (0..1) after the export
EVALUATED = 0.97


def train(task: Task) -> ModelManifest:
    """Train, export and evaluate a model; resumes from the task's checkpoint if it has one.

    Raises BadModel, Invalid and JobFailed.
    """
    started = time.monotonic()
    spec = TrainSpec.model_validate(task.job.spec)
    with load(task, spec) as loaded:
        best = best_candidate(session_of(task, spec, loaded, started))
        return publish(task, loaded, best, spec)


@dataclass(frozen=True)
class Loaded:
    """A dataset version in the folder of a task."""

    reference: str
    dataset: DatasetManifest
    files: Mapping[Split, Sequence[ShardFiles]]
    index: IndexedImages | None
    data: TrainingData


@contextmanager
def load(task: Task, spec: TrainSpec) -> Iterator[Loaded]:
    """Open the dataset of a training during the block; raises BadModel if its images do not fit the layers."""
    reference, dataset = task.datasets.manifest(Reference.parse(spec.dataset))
    spec.check_shape(dataset.image.shape)
    with share_cores(), opened_shards(task, dataset, streams=spec.replicas is None) as shards:
        index = fetched_index(task, dataset)
        data = TrainingData(
            train=shards.images[Split.TRAIN],
            val=shards.images[Split.VAL],
            shape=dataset.image.shape,
            classes=len(dataset.classes),
            mean=dataset.mean,
            std=dataset.std,
            describe=index.describe if index else numbers,
        )
        yield Loaded(str(reference), dataset, shards.files, index, data)


def session_of(task: Task, spec: TrainSpec, loaded: Loaded, started: float) -> Session:
    """Begin an attempt at a training; raises BadModel."""
    data, dataset = loaded.data, loaded.dataset
    preprocessing = Preprocessing(image=dataset.image, mean=dataset.mean, std=dataset.std)

    @cache
    def origin(name: str) -> State | Graph:
        if name in BACKBONE_NAMES:
            return State.of_backbone(name, data.shape, BACKBONES[name].side_for(data.shape), data.classes)
        return brought(task, name, data.shape) or state_of_model(task, name, data.shape)

    state = origin(spec.init_from) if spec.init_from else None
    version = loaded.reference, dataset
    return Session(task, spec, data, dataset.classes, preprocessing, state, origin, loaded.index, started, version)


def publish(task: Task, loaded: Loaded, best: Candidate, spec: TrainSpec) -> ModelManifest:
    """Export and evaluate a trained network, and describe it; raises JobFailed."""
    dataset, files = loaded.dataset, loaded.files
    task.report(TRAINED, "saving the model")
    preprocessing = Preprocessing(image=dataset.image, mean=best.data.mean, std=best.data.std)
    card = ModelCard(labels=dataset.classes, preprocessing=preprocessing)
    exported = task.folder / "model.onnx"
    if best.probe is not None and best.body is not None:
        with_head(best.body, best.probe, card, exported)
    elif best.network is not None:
        export(best.network, card, exported)

    def on_shard() -> None:
        task.report(EXPORTED, "testing the model on images that it has not seen")

    measured = MeasuredImages(dataset.counts.val)
    with Runtime(exported) as runtime:
        difference, signature = parity(best.network, runtime, best.data, task.folder)
        calibration = calibrate(runtime, files[Split.VAL], dataset.classes, on_shard, measured.add)
        test = evaluate(runtime, files[Split.TEST], dataset.classes, on_shard)
    artifact = task.put("model.onnx", exported)
    task.report(EVALUATED, "making smaller and faster versions of the model")
    variants = make_variants(exported, artifact, difference, best.data, task.folder, task.put, calibration.logits)
    state = best.state(spec.model, preprocessing, dataset.classes)
    return ModelManifest(
        artifact=artifact,
        labels=dataset.classes,
        preprocessing=preprocessing,
        inputs=signature.inputs,
        outputs=signature.outputs,
        dataset=loaded.reference,
        metrics=EvaluationMetrics(val=calibration.metrics, test=test),
        epochs=best.epochs,
        best_epoch=best.best_epoch,
        parameters=best.parameters,
        device=best.device,
        onnx=OnnxInfo(
            sha256=artifact.sha256,
            size=artifact.size,
            opset=opset_of(exported),
            parity_max_abs_diff=None if difference is None else difference / calibration.temperature,
        ),
        decisions=(*best.choices, *calibration.decisions, *variants.decisions),
        unknown_below=calibration.unknown_below,
        training_images=best.training_images,
        lineage=lineage_of(spec, dataset, best.device, parent=spec.init_from or chosen_start(best)),
        variants=variants.variants,
        serving=variants.serving,
        state=task.put("state.safetensors", state.to_bytes()) if state else None,
        features=best.features,
        drift_reference=drift_reference(calibration, dataset.classes, measured, loaded.index),
    )


def chosen_start(best: Candidate) -> str | None:
    """Return the backbone that the training chose to start from, None if it started from random weights."""
    return next((str(choice.value) for choice in best.choices if choice.what == "init_from"), None)


def state_of_model(task: Task, name: str, shape: tuple[int, int, int]) -> State:
    """Read the weights of a model trained here; raises BadModel if it has none, or takes only grey images."""
    reference, manifest = task.models.manifest(Reference.parse(name))
    if manifest.state is None:
        raise BadModel(f"{reference} has no weights to start from; name a model that was trained here, or a backbone")
    state = State.from_bytes(str(reference), task.objects.read(manifest.state))
    channels = state.blueprint.channels or state.blueprint.shape[0]
    if state.blueprint.backbone is None and channels < shape[0]:
        raise BadModel(f"{reference} takes grey images, and the dataset has colours; prepare it again with mode L")
    return state


def fetched_index(task: Task, dataset: DatasetManifest) -> IndexedImages | None:
    """Download the index of the dataset's images; None if an older release has prepared the dataset."""
    if dataset.index is None:
        return None
    path = task.folder / "index.parquet"
    task.objects.fetch(dataset.index, path)
    return IndexedImages(path)
