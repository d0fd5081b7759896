"""The handler of training jobs: from a dataset version and a spec to an evaluated ONNX model."""

import torch

from contract.datasets import DatasetManifest, Split
from contract.errors import JobFailed
from contract.evaluation import EvaluationMetrics
from contract.images import Preprocessing
from contract.kinds.train import TrainSpec
from contract.models import ModelCard
from contract.references import Reference
from contract.training import ModelManifest, OnnxInfo
from services.trainer import train as training
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import ShardedImages, ShardFiles, TrainingData
from services.trainer.device import use_all_cores
from services.trainer.evaluate import evaluate
from services.trainer.export import OPSET, export
from services.trainer.lineage import lineage_of
from services.trainer.model import parameters
from services.trainer.parity import parity
from services.trainer.recipe import Recipe
from services.trainer.temperature import calibrate
from services.trainer.variants import make_variants
from worker.task import Task

FETCHED = 0.02  # the job's progress (0..1) after each stage
TRAINED = 0.92
EXPORTED = 0.95
EVALUATED = 0.97


def train(task: Task) -> ModelManifest:
    """Train, export and evaluate a model; resumes from the task's checkpoint if it has one.

    Raises BadModel, Invalid and JobFailed.
    """
    use_all_cores()
    spec = TrainSpec.model_validate(task.job.spec)
    reference, dataset = task.datasets.manifest(Reference.parse(spec.dataset))
    spec.check_shape(dataset.image.shape)
    files = fetch(task, dataset)
    data = TrainingData(
        train=ShardedImages(files[Split.TRAIN]),
        val=ShardedImages(files[Split.VAL]),
        shape=dataset.image.shape,
        classes=len(dataset.classes),
        mean=dataset.mean,
        std=dataset.std,
    )
    trained = fit(task, spec, data)

    task.report(TRAINED, "exporting to ONNX")
    preprocessing = Preprocessing(image=dataset.image, mean=dataset.mean, std=dataset.std)
    exported = task.folder / "model.onnx"
    export(trained.model, ModelCard(labels=dataset.classes, preprocessing=preprocessing), exported)
    difference, signature = parity(trained.model, exported, data, task.folder)

    def on_shard() -> None:
        task.report(EXPORTED, "evaluating the exported model")

    calibration = calibrate(exported, files[Split.VAL], dataset.classes, on_shard)
    test = evaluate(exported, files[Split.TEST], dataset.classes, on_shard)
    artifact = task.put("model.onnx", exported)
    task.report(EVALUATED, "making fp16 and int8 variants")
    variants = make_variants(exported, artifact, difference, data, task.folder, task.put)
    return ModelManifest(
        artifact=artifact,
        labels=dataset.classes,
        preprocessing=preprocessing,
        inputs=signature.inputs,
        outputs=signature.outputs,
        dataset=str(reference),
        metrics=EvaluationMetrics(val=calibration.metrics, test=test),
        epochs=trained.epochs,
        best_epoch=training.best_of(trained.epochs).epoch,
        parameters=parameters(trained.model),
        device=trained.device,
        onnx=OnnxInfo(
            sha256=artifact.sha256,
            size=artifact.size,
            opset=OPSET,
            parity_max_abs_diff=difference / calibration.temperature,
        ),
        decisions=(*calibration.decisions, *variants.decisions),
        unknown_below=calibration.unknown_below,
        lineage=lineage_of(spec, dataset, trained.device),
        variants=variants.variants,
        serving=variants.serving,
    )


def fetch(task: Task, dataset: DatasetManifest) -> dict[Split, list[ShardFiles]]:
    """Download the dataset's shards into the task's folder."""
    files: dict[Split, list[ShardFiles]] = {split: [] for split in Split}
    for split, shards in dataset.shards.items():
        for number, shard in enumerate(shards):
            task.report(0.0, f"fetching {split} images")
            images = task.folder / f"{split}-{number}-images.npy"
            labels = task.folder / f"{split}-{number}-labels.npy"
            task.objects.fetch(shard.images, images)
            task.objects.fetch(shard.labels, labels)
            files[split].append((images, labels))
    return files


def fit(task: Task, spec: TrainSpec, data: TrainingData) -> training.Trained:
    """Train, and save the task's progress and checkpoints; raises JobFailed if the GPU runs out of memory."""
    start = Checkpoint.from_bytes(task.objects.read(task.checkpoint)) if task.checkpoint else None

    def on_step(progress: float, message: str) -> None:
        task.report(FETCHED + (TRAINED - FETCHED) * progress, message)

    def on_epoch(checkpoint: Checkpoint) -> None:
        # One name per epoch: never overwrite the checkpoint that the job's row refers to.
        # Metrics are saved together with the checkpoint, so an epoch that has to be repeated was not yet reported.
        epoch = checkpoint.epochs[-1]
        task.save_checkpoint(f"checkpoint-{epoch.epoch}.pt", checkpoint.to_bytes(), epoch.model_dump(mode="json"))

    try:
        return training.train(Recipe.of(spec), data, on_step=on_step, on_epoch=on_epoch, start=start)
    except torch.OutOfMemoryError as error:
        raise JobFailed("the GPU ran out of memory; use a smaller batch_size") from error
