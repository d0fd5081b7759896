"""Begin a training on several replicas, and take what it ends with."""

from collections.abc import Callable

from contract.errors import Invalid
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import TrainingData
from services.trainer.elastic.images import digest, fetch_images, open_images
from services.trainer.elastic.lead import Lead, Spread
from services.trainer.elastic.plan import Plan, Terms
from services.trainer.image_losses import ImageLosses
from services.trainer.learner import Learner
from services.trainer.metrics import DESCENT, show_epoch
from services.trainer.network import Blueprint, Network
from services.trainer.recipe import Recipe
from services.trainer.session import Session
from services.trainer.settings import ElasticSettings
from services.trainer.train import Trained
from worker.task import Contended


def train_together(
    session: Session,
    recipe: Recipe,
    data: TrainingData,
    network: Network | None,
    blueprint: Blueprint,
    on_step: Callable[[float, str], None],
    on_epoch: Callable[[Checkpoint, Spread], None],
) -> Trained:
    """As `train`, in processes of their own: one of this replica, and one of each replica that joins.

    Raises what ends the attempt, and Invalid if there are fewer than two training images or the checkpoint is of
    another recipe.
    """
    replicas, start = session.spec.replicas, session.checkpoint
    if replicas is None:
        raise TypeError("the spec has no replicas")
    if len(data.train) < 2:
        raise Invalid("the training split has fewer than two images")
    if start and (changes := recipe.changes(start.recipe)):
        raise Invalid(f"the training cannot resume, because its recipe has changed: {changes}; submit it again")
    reference, manifest = session.dataset
    terms = Terms(
        recipe=recipe,
        shape=session.data.shape,
        classes=data.classes,
        mean=data.mean,
        std=data.std,
        shards=replicas.shards,
        timeout_s=ElasticSettings().timeout_s,
        dataset=reference,
        data=digest(manifest),
        replicas=replicas,
        blueprint=blueprint if network else None,
    )
    fetch_images(session.task, manifest)
    open_images(session.task.folder, terms)  # shrinks the images, if need be

    def record(checkpoint: Checkpoint, spread: Spread) -> None:
        DESCENT.inc(len(data.train))
        show_epoch(checkpoint.epochs[-1])
        on_epoch(checkpoint, spread)

    plan = Plan(terms, network.state_dict() if network else None, start.to_bytes() if start else None)
    task = session.task
    if not isinstance(task, Contended):
        raise TypeError("the task offers no seats")
    last = Lead(task, replicas, plan, on_step, record, contended=task.contended).run()
    learner = Learner(recipe, data, network)
    model = learner.model.cpu()
    model.load_state_dict(last.best)
    model.eval()
    return Trained(model, last.epochs, str(learner.device), ImageLosses(len(data.train), last.image_losses))
