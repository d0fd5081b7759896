"""From the weights of trials to the manifest of a model: exported and evaluated like any training."""

from collections.abc import Sequence
from dataclasses import replace

from contract.choices import Choice
from contract.kinds.train import TrainSpec
from contract.kinds.trial import TrialOutcome
from contract.training import ModelManifest
from services.trainer.candidates import Candidate
from services.trainer.search.ensemble import together
from services.trainer.state import State
from services.trainer.worker import Loaded, publish
from worker.task import Task


def published(
    task: Task,
    loaded: Loaded,
    training: TrainSpec,
    outcome: TrialOutcome,
    choices: tuple[Choice, ...] = (),
    others: Sequence[TrialOutcome] = (),
) -> ModelManifest:
    """Export and evaluate what a trial has trained; `choices` come before its own decisions. Raises JobFailed.

    With `others`, the model averages the answers of all; another training can start from the weights of the first.
    """
    states = [State.from_bytes(training.model, task.objects.read(one.state)) for one in (outcome, *others)]
    first = states[0]
    best = Candidate(
        method=outcome.method,
        label=outcome.label,
        network=together(states, loaded.data.shape, loaded.dataset.classes),
        blueprint=None if others else first.blueprint,
        data=replace(loaded.data, mean=first.mean, std=first.std),
        choices=(*choices, *outcome.decisions),
        unchanged=bool(outcome.epochs) and outcome.best_epoch is None,
        epochs=outcome.epochs,
        device=outcome.device,
        training_images=outcome.training_images,
    )
    manifest = publish(task, loaded, best, training)
    if not others:
        return manifest
    return manifest.model_copy(update={"state": task.put("state.safetensors", first.to_bytes())})
