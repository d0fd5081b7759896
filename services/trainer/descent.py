"""The ways to a model by gradient descent: fine-tuning, training from scratch, and a short trial of the latter."""

from dataclasses import asdict, replace

import torch

from contract.choices import Choice
from contract.errors import BadModel, JobFailed
from contract.evaluation import TrainingImages
from contract.tracing import traced
from contract.training import Method
from services.trainer import decisions
from services.trainer import train as training
from services.trainer.backbones.brought import Graph
from services.trainer.candidates import Candidate
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import TrainingData
from services.trainer.elastic.lead import Spread
from services.trainer.elastic.together import train_together
from services.trainer.feature_source import EXTRACTED
from services.trainer.learner import Learner, blueprint_of
from services.trainer.network import Blueprint, Network
from services.trainer.probe import Probe
from services.trainer.recipe import Recipe
from services.trainer.schedule import best_of
from services.trainer.session import TRAINED, TRIED, Session
from services.trainer.state import with_probe


@traced("short training")
def short_training(session: Session, probe: float | None) -> Candidate:
    """Train a small network from scratch for a few epochs; end it halfway if it is far behind the probe's accuracy."""
    recipe = decisions.trial(session.spec, session.facts)
    data = session.data.shrunk(recipe.shrink)
    behind = False

    def on_epoch(checkpoint: Checkpoint) -> None:
        nonlocal behind
        accuracy = checkpoint.epochs[-1].val_accuracy
        if len(checkpoint.epochs) == recipe.epochs // 2 and accuracy is not None and probe is not None:
            behind = decisions.hopeless(accuracy, probe)

    trained = training.train(
        recipe,
        data,
        on_step=lambda progress, _: session.task.report(
            EXTRACTED + (TRIED - EXTRACTED) * progress, "trying a small network that begins with nothing learned"
        ),
        on_epoch=on_epoch,
        stop_early=lambda: behind or session.task.stop_early,
    )
    label = "half of a short training from scratch" if behind else "short training from scratch"
    return _descended(session, "scratch", recipe, data, trained, blueprint_of(recipe, data), label)


@traced("descent")
def descend(session: Session, method: Method, start: str | None, head: Probe | None) -> Candidate:
    """Train by gradient descent, from scratch or from a network and the head of its probe."""
    state = session.start(start) if method == "fine_tune" and start else None
    if isinstance(state, Graph):
        raise BadModel(f"{start} is an ONNX file, which cannot be fine-tuned; use method probe")
    data = session.data_of(state) if state else session.data
    if state is None:
        recipe = session.resumed or decisions.scratch(session.spec, session.facts, session.seconds())
        data = data.shrunk(recipe.shrink)
        network, blueprint = None, blueprint_of(recipe, data)
    else:
        recipe = session.resumed or decisions.fine_tune(session.spec, session.facts, state.name, session.seconds())
        blueprint = state.blueprint.of_images(data.shape, data.classes)
        network = state.network(data.shape, session.labels)
        network = with_probe(network, head) if head else network
    trained = _train(session, recipe, data, network, head, blueprint)
    slowest = trained.image_losses.slowest(data.train.labels, session.labels, session.names)
    noticed = session.training_images or TrainingImages(not_judged="the training had no features to judge them by")
    session.training_images = noticed.model_copy(update={"slowest": slowest})
    label = "training from scratch" if state is None else "fine-tuning"
    return _descended(session, method, recipe, data, trained, blueprint, label)


def _descended(
    session: Session,
    method: Method,
    recipe: Recipe,
    data: TrainingData,
    trained: training.Trained,
    blueprint: Blueprint,
    label: str,
) -> Candidate:
    """Return what a training has ended with; the network then takes the images at their full size."""
    best = best_of(trained.epochs)
    if recipe.shrink > 1:
        trained.model.adapter.shrink = recipe.shrink
        blueprint = blueprint.model_copy(update={"shape": session.data.shape, "shrink": recipe.shrink})
    return Candidate(
        method=method,
        label=label,
        network=trained.model,
        blueprint=blueprint,
        data=replace(session.data, mean=data.mean, std=data.std),
        choices=decisions.choices(session.spec, recipe, session.facts),
        accuracy=best.val_accuracy,
        loss=best.val_loss,
        epochs=trained.epochs,
        device=trained.device,
    )


def _train(
    session: Session,
    recipe: Recipe,
    data: TrainingData,
    network: Network | None,
    head: Probe | None,
    blueprint: Blueprint,
) -> training.Trained:
    """Train, and save progress and checkpoints; raises JobFailed if the GPU runs out of memory."""
    begin = TRIED if head else 0.02

    def on_step(progress: float, message: str) -> None:
        session.task.report(begin + (TRAINED - begin) * progress, message)

    def on_epoch(checkpoint: Checkpoint, spread: Spread | None = None) -> None:
        # One name per epoch: never overwrite the checkpoint that the job's row refers to.
        # Metrics are saved together with the checkpoint, so an epoch that has to be repeated was not yet reported.
        epoch = checkpoint.epochs[-1]
        noticed = session.training_images.model_dump_json() if session.training_images else None
        tensors = head.to_tensors() if head else None
        stored = replace(checkpoint, probe=tensors, training_images=noticed).to_bytes()
        metrics = epoch.model_dump(mode="json") | (asdict(spread) if spread else {})
        session.task.save_checkpoint(f"checkpoint-{epoch.epoch}.pt", stored, metrics)

    if session.spec.replicas is not None:
        return train_together(session, recipe, data, network, blueprint, on_step, on_epoch)
    try:
        return training.train(
            recipe,
            data,
            network=network,
            on_step=on_step,
            on_epoch=on_epoch,
            start=session.checkpoint,
            stop_early=lambda: session.task.stop_early,
        )
    except torch.OutOfMemoryError as error:
        raise JobFailed("the GPU ran out of memory; use a smaller batch_size") from error


def unchanged(session: Session, plan: decisions.Plan) -> list[Candidate]:
    """Return the model that fine-tuning starts from, if it can be compared: no epoch may be better than it."""
    if plan.method != "fine_tune" or plan.start is None or not len(session.data.val):
        return []
    state = session.start(plan.start)
    if isinstance(state, Graph):
        return []
    data, network = session.data_of(state), state.network(session.data.shape, session.labels).eval()
    recipe = decisions.fine_tune(session.spec, session.facts, state.name)
    learner = Learner(recipe, data, network)
    loss, accuracy = training.validate(learner, data.val, recipe.batch_size, on_batch=lambda: None)
    because = f"no epoch of fine-tuning is better on validation, so the weights of {state.name} are kept"
    return [
        Candidate(
            method="fine_tune",
            label=f"{state.name} unchanged",
            unchanged=True,
            network=network,
            blueprint=state.blueprint.of_images(data.shape, data.classes),
            data=data,
            choices=(Choice(what="weights", value=state.name, because=because),),
            accuracy=accuracy,
            loss=loss,
        )
    ]
