"""From the weights of a trial to the manifest of a model: exported and evaluated like any training."""

from dataclasses import replace

from contract.choices import Choice
from contract.kinds.train import TrainSpec
from contract.kinds.trial import TrialOutcome
from contract.training import ModelManifest
from services.trainer.candidates import Candidate
from services.trainer.state import State
from services.trainer.worker import Loaded, publish
from worker.task import Task


def published(
    task: Task, loaded: Loaded, training: TrainSpec, outcome: TrialOutcome, choices: tuple[Choice, ...] = ()
) -> ModelManifest:
    """Export and evaluate what a trial has trained; `choices` come before its own decisions. Raises JobFailed."""
    state = State.from_bytes(training.model, task.objects.read(outcome.state))
    best = Candidate(
        method=outcome.method,
        label=outcome.label,
        network=state.network(loaded.data.shape, loaded.dataset.classes).eval(),
        blueprint=state.blueprint,
        data=replace(loaded.data, mean=state.mean, std=state.std),
        choices=(*choices, *outcome.decisions),
        unchanged=bool(outcome.epochs) and outcome.best_epoch is None,
        epochs=outcome.epochs,
        device=outcome.device,
        training_images=outcome.training_images,
    )
    return publish(task, loaded, best, training)
