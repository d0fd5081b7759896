"""The handler of training jobs: one training, a search, or a cross-validation."""

from contract.division import Outcome
from contract.kinds.train import TrainSpec
from services.trainer import worker
from services.trainer.search.folds import cross_validate
from services.trainer.search.search import search
from worker.task import Task


def train(task: Task) -> Outcome:
    """Train as the job's spec says; raises BadModel, Invalid, JobFailed and Cancelled."""
    spec = TrainSpec.model_validate(task.job.spec)
    if spec.search is not None:
        return search(task, spec, spec.search)
    return worker.train(task) if spec.folds is None else cross_validate(task, spec)
