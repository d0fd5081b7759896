"""The ways to a model: a probe of features, fine-tuning, and training from scratch, compared on validation."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from contract.choices import Choice
from contract.datasets import Split
from contract.errors import BadModel, JobFailed
from contract.evaluation import TrainingImages
from contract.images import Preprocessing
from contract.kinds.train import TrainSpec
from contract.training import Method
from services.trainer import decisions, out_of_fold, probe
from services.trainer import train as training
from services.trainer.backbones.brought import Graph
from services.trainer.candidates import Candidate
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import IndexedImages, Names, TrainingData, nameless
from services.trainer.feature_source import EXTRACTED, FeatureSource
from services.trainer.learner import Learner, blueprint_of
from services.trainer.network import Blueprint, Network
from services.trainer.probe import Probe
from services.trainer.recipe import Recipe
from services.trainer.schedule import best_of
from services.trainer.state import State, with_probe
from worker.task import Task

TRIED = 0.4  # the job's progress (0..1) after each stage
TRAINED = 0.92
RESERVE = 0.05  # of a budget, for the last validation


@dataclass
class Session:
    """One attempt at a training: tries what the plan says."""

    task: Task
    spec: TrainSpec
    data: TrainingData
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    state: State | Graph | None  # of the model or backbone that `init_from` names
    origin: Callable[[str], State | Graph]
    index: IndexedImages | None
    started: float
    training_images: TrainingImages | None = None  # what the training has noticed about them so far

    @cached_property
    def facts(self) -> decisions.Facts:
        counts = np.bincount(self.data.train.labels, minlength=self.data.classes)
        return decisions.Facts(self.data.shape, tuple(counts.tolist()))

    @cached_property
    def checkpoint(self) -> Checkpoint | None:
        stored = self.task.checkpoint
        return Checkpoint.from_bytes(self.task.objects.read(stored)) if stored else None

    @property
    def names(self) -> Names:
        return self.index.names if self.index else nameless

    def best(self) -> Candidate:
        """Try the ways of the plan and return the best on validation; the first of equal ones."""
        same = self.state is not None and self.state.labels == self.labels
        backbone = self.state is not None and not self.state.labels
        plan = decisions.plan(self.spec, self.facts, same, backbone, isinstance(self.state, Graph))
        if self.checkpoint is not None:
            return self._chosen(plan, *self._resumed(plan, self.checkpoint))
        candidates = [self.probe(plan.start or "")] if plan.probe else self._unchanged(plan)
        method, because = (plan.method, plan.because) if plan.method else self._tried(candidates)
        if method != "probe" and not (plan.probe and self.task.stop_early):
            candidates.append(self.descend(method, plan.start, candidates[0].probe if candidates else None))
        return self._chosen(plan, candidates, because)

    def _resumed(self, plan: decisions.Plan, checkpoint: Checkpoint) -> tuple[list[Candidate], str]:
        """Go on with the training of a checkpoint, whose method is decided, and keep its probe for the comparison."""
        method: Method = "fine_tune" if checkpoint.recipe.start else "scratch"
        head = Probe.of_tensors(checkpoint.probe) if checkpoint.probe else None
        if checkpoint.training_images:
            self.training_images = TrainingImages.model_validate_json(checkpoint.training_images)
        candidates = [self._probed(plan.start or "", head, None)] if head else self._unchanged(plan)
        if plan.trial and method == "scratch":
            candidates.append(self._trial())
        candidates.append(self.descend(method, checkpoint.recipe.start, head))
        return candidates, plan.because or "the method was decided before the training was interrupted"

    def _chosen(self, plan: decisions.Plan, candidates: list[Candidate], because: str) -> Candidate:
        """Return the best candidate, with the reasons for its method and its start."""
        best = max(candidates, key=lambda candidate: candidate.rank)
        if len(candidates) > 1:
            compared = ", ".join(f"{c.label} {c.accuracy or 0:.1%}" for c in candidates)
            because = f"validation accuracy: {compared}; {because}"
        choices = [Choice(what="method", value=best.method, because=because)] if self.spec.method is None else []
        if plan.start and self.spec.init_from is None and best.method != "scratch":
            because = "a network that has seen a million photos needs few of yours"
            choices.append(Choice(what="init_from", value=plan.start, because=because))
        features = next((candidate.features for candidate in candidates if candidate.features), None)
        return replace(
            best,
            choices=(*choices, *best.choices),
            features=features,
            epochs=candidates[-1].epochs if best.unchanged else best.epochs,
            training_images=self.training_images,
        )

    def probe(self, start: str) -> Candidate:
        """Fit a linear head to the features of a network."""
        state = self._start(start)
        body = self.task.folder / "body.onnx"
        self.task.report(0.0, f"exporting {start}")
        state.write_body(self.data.shape, self.labels, self._preprocessing(state), body)
        source = FeatureSource(self.task, self.spec, self.data, self.index, body)
        cache = source.cache(start, self._preprocessing(state))
        features = source.features(cache)
        balanced = (self.spec.class_weights or decisions.balance(self.facts)) == "balanced"
        self.task.report(EXTRACTED, "fitting a linear head")
        train = features[Split.TRAIN]
        head = probe.fit(train, features[Split.VAL], self.data.classes, balanced)
        self.task.report(EXTRACTED, "judging the labels of the training images")
        numbers = source.samples()[Split.TRAIN]
        self.training_images = out_of_fold.judged(train, numbers, self.labels, head.penalty, balanced, self.names)
        return replace(self._probed(start, head, body), features=cache.save() if cache else None)

    def _probed(self, start: str, head: Probe, body: Path | None) -> Candidate:
        state = self._start(start)
        because = f"of {len(probe.PENALTIES)} penalties, this one has the lowest loss on validation, {head.loss:.3f}"
        return Candidate(
            method="probe",
            label="probe",
            network=state.classifier(self.data.shape, self.labels, head),
            blueprint=state.blueprint_of(self.data.shape, self.data.classes),
            data=self._data(state),
            choices=(Choice(what="penalty", value=head.penalty, because=because),),
            accuracy=head.accuracy if len(self.data.val) else None,
            loss=head.loss,
            probe=head,
            body=body,
            body_parameters=state.parameters if isinstance(state, Graph) else 0,
        )

    def _unchanged(self, plan: decisions.Plan) -> list[Candidate]:
        """Return the model that fine-tuning starts from, if it can be compared: no epoch may be better than it."""
        if plan.method != "fine_tune" or plan.start is None or not len(self.data.val):
            return []
        state = self._start(plan.start)
        if isinstance(state, Graph):
            return []
        data, network = self._data(state), state.network(self.data.shape, self.labels).eval()
        recipe = decisions.fine_tune(self.spec, self.facts, state.name)
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
                choices=(Choice(what="epochs", value=0, because=because),),
                accuracy=accuracy,
                loss=loss,
            )
        ]

    def _tried(self, candidates: list[Candidate]) -> tuple[Method, str]:
        """Decide the method by a short training from scratch, which becomes a candidate; return its reason, too."""
        probe_accuracy = candidates[0].accuracy
        if probe_accuracy is None:
            return "probe", "without a validation split, nothing else can be compared"
        if self.task.stop_early:
            return "probe", "the training was asked to stop early"
        candidates.append(self._trial())
        if decisions.worth_training(candidates[1].accuracy or 0.0, probe_accuracy):
            return "scratch", "the short training is close enough to try a full one"
        return "fine_tune" if self.spec.budget else "probe", "the short training is too far behind to try a full one"

    def _trial(self) -> Candidate:
        recipe = decisions.trial(self.spec, self.facts)
        data = self.data.shrunk(recipe.shrink)
        trained = training.train(
            recipe,
            data,
            on_step=lambda progress, _: self.task.report(
                EXTRACTED + (TRIED - EXTRACTED) * progress, "trying a small network from scratch"
            ),
            on_epoch=lambda _: None,
            stop_early=lambda: self.task.stop_early,
        )
        return self._descended(
            "scratch", recipe, data, trained, blueprint_of(recipe, data), "short training from scratch"
        )

    def descend(self, method: Method, start: str | None, head: Probe | None) -> Candidate:
        """Train by gradient descent, from scratch or from a network and the head of its probe."""
        state = self._start(start) if method == "fine_tune" and start else None
        if isinstance(state, Graph):
            raise BadModel(f"{start} is an ONNX file, which cannot be fine-tuned; use method probe")
        data = self._data(state) if state else self.data
        if state is None:
            recipe = decisions.scratch(self.spec, self.facts, self._seconds())
            data = data.shrunk(recipe.shrink)
            network, blueprint = None, blueprint_of(recipe, data)
        else:
            recipe = decisions.fine_tune(self.spec, self.facts, state.name, self._seconds())
            blueprint = state.blueprint.of_images(data.shape, data.classes)
            network = state.network(data.shape, self.labels)
            network = with_probe(network, head) if head else network
        trained = self._train(recipe, data, network, head)
        slowest = trained.image_losses.slowest(data.train.labels, self.labels, self.names)
        noticed = self.training_images or TrainingImages(not_judged="the training had no features to judge them by")
        self.training_images = noticed.model_copy(update={"slowest": slowest})
        label = "training from scratch" if state is None else "fine-tuning"
        return self._descended(method, recipe, data, trained, blueprint, label)

    def _descended(
        self,
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
            blueprint = blueprint.model_copy(update={"shape": self.data.shape, "shrink": recipe.shrink})
        return Candidate(
            method=method,
            label=label,
            network=trained.model,
            blueprint=blueprint,
            data=replace(self.data, mean=data.mean, std=data.std),
            choices=decisions.choices(self.spec, recipe, self.facts),
            accuracy=best.val_accuracy,
            loss=best.val_loss,
            epochs=trained.epochs,
            device=trained.device,
        )

    def _train(
        self, recipe: Recipe, data: TrainingData, network: Network | None, head: Probe | None
    ) -> training.Trained:
        """Train, and save progress and checkpoints; raises JobFailed if the GPU runs out of memory."""
        begin = TRIED if head else 0.02

        def on_step(progress: float, message: str) -> None:
            self.task.report(begin + (TRAINED - begin) * progress, message)

        def on_epoch(checkpoint: Checkpoint) -> None:
            # One name per epoch: never overwrite the checkpoint that the job's row refers to.
            # Metrics are saved together with the checkpoint, so an epoch that has to be repeated was not yet reported.
            epoch = checkpoint.epochs[-1]
            noticed = self.training_images.model_dump_json() if self.training_images else None
            tensors = head.to_tensors() if head else None
            stored = replace(checkpoint, probe=tensors, training_images=noticed).to_bytes()
            self.task.save_checkpoint(f"checkpoint-{epoch.epoch}.pt", stored, epoch.model_dump(mode="json"))

        try:
            return training.train(
                recipe,
                data,
                network=network,
                on_step=on_step,
                on_epoch=on_epoch,
                start=self.checkpoint,
                stop_early=lambda: self.task.stop_early,
            )
        except torch.OutOfMemoryError as error:
            raise JobFailed("the GPU ran out of memory; use a smaller batch_size") from error

    def _seconds(self) -> float | None:
        """Return the time that the budget leaves for the training, over all attempts."""
        if self.spec.budget is None:
            return None
        if self.checkpoint is not None:
            return self.checkpoint.recipe.seconds
        total = 60 * self.spec.budget.minutes
        return max(total * (1 - RESERVE) - (time.monotonic() - self.started), 1.0)

    def _start(self, name: str) -> State | Graph:
        return self.state if self.state is not None else self.origin(name)

    def _preprocessing(self, state: State | Graph) -> Preprocessing:
        return self.preprocessing.model_copy(update={"mean": state.mean, "std": state.std})

    def _data(self, state: State | Graph) -> TrainingData:
        return replace(self.data, mean=state.mean, std=state.std)
