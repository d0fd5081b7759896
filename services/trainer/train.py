"""The training loop. It does not depend on jobs, the database or the object store."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from contract.errors import Invalid
from contract.training import Epoch
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import ShardedImages, TrainingData, batches
from services.trainer.learner import Learner
from services.trainer.optimization import lr_factor
from services.trainer.recipe import Recipe
from services.trainer.transforms import augment

REPORT_INTERVAL_S = 0.5

OnStep = Callable[[float, str], None]
OnEpoch = Callable[[Checkpoint], None]
OnBatch = Callable[[float, Tensor, int], None]


@dataclass(frozen=True)
class Trained:
    """The network with the weights of its best epoch (CPU, float32, evaluation mode), its epochs and its device."""

    model: nn.Module
    epochs: tuple[Epoch, ...]
    device: str


def train(
    recipe: Recipe, data: TrainingData, *, on_step: OnStep, on_epoch: OnEpoch, start: Checkpoint | None = None
) -> Trained:
    """Fit a network to the training split and keep the weights of the best epoch.

    `on_step(progress 0..1, message)` is called after the first step and then about twice a second, and
    `on_epoch(checkpoint)` after each epoch; an exception in either ends the training. On a CPU, the same seed and
    number of threads give the same weights, bit for bit, also when resumed from `start`. Reseeds torch's global
    generator. Raises BadModel, and Invalid if there are fewer than two training images or the loss is not finite.
    """
    if len(data.train) < 2:
        raise Invalid("the training split has fewer than two images")
    learner = Learner(recipe, data)
    epochs, best = (start.epochs, start.best) if start else ((), learner.weights())
    if start:
        learner.resume(start)
    reporter = Reporter(recipe.epochs, on_step)
    for number in range(len(epochs) + 1, recipe.epochs + 1):
        started = time.monotonic()
        report = partial(reporter.report, number, epochs[-1].val_accuracy if epochs else None)
        loss_sum = _train_epoch(learner, recipe, data.train, number, on_batch=report)
        train_loss = loss_sum.item() / len(data.train)
        report_validation = partial(report, number / recipe.epochs, loss_sum, len(data.train))
        val_loss, val_accuracy = validate(learner, data.val, recipe.batch_size, on_batch=report_validation)
        if not math.isfinite(train_loss + (val_loss or 0.0)):
            raise Invalid(f"the training diverged in epoch {number}; use a learning rate below {recipe.optimizer.lr:g}")
        epoch = Epoch(
            epoch=number,
            train_loss=train_loss,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            seconds=time.monotonic() - started,
        )
        epochs = (*epochs, epoch)
        if best_of(epochs) is epoch:
            best = learner.weights()
        on_epoch(learner.checkpoint(epochs, best))
    learner.model.load_state_dict(best)
    return Trained(learner.model.cpu().eval(), epochs, str(learner.device))


def _train_epoch(learner: Learner, recipe: Recipe, images: ShardedImages, number: int, on_batch: OnBatch) -> Tensor:
    """Train on every image once, in random order, and return the sum of their losses, a scalar on the device.

    `on_batch(progress of the training, sum of the losses in this epoch, number of images so far)` is called after each.
    """
    random = np.random.default_rng((recipe.seed, number))  # seeded in every epoch, so that training can resume at any
    torch.manual_seed(int(random.integers(2**63)))
    order = batches(random.permutation(len(images)), recipe.batch_size)
    steps = len(order) * recipe.epochs
    seen, loss_sum = 0, torch.zeros((), device=learner.device.torch_device)
    learner.model.train()
    for step, batch in enumerate(order, start=len(order) * (number - 1)):
        learner.set_lr(recipe.optimizer.lr * lr_factor(recipe.schedule, step / steps))
        pixels, labels = learner.move(*images.take(batch))
        with learner.device.autocast():
            logits = learner.model(learner.inputs(augment(pixels) if recipe.augment else pixels))
        loss = cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        learner.optimizer.zero_grad()
        # The scaler does nothing unless the precision is float16.
        learner.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        learner.scaler.step(learner.optimizer)
        learner.scaler.update()
        seen += len(batch)
        loss_sum += loss.detach() * len(batch)
        on_batch((step + 1) / steps, loss_sum, seen)
    return loss_sum


@torch.no_grad()
def validate(
    learner: Learner, images: ShardedImages, batch_size: int, on_batch: Callable[[], None]
) -> tuple[float, float] | tuple[None, None]:
    """Return mean cross-entropy in nats and accuracy (0..1), both None if there are no images.

    Computes in float32, as serving does. `on_batch()` is called after each batch.
    """
    if not len(images):
        return None, None
    learner.model.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=learner.device.torch_device)
    for batch in np.array_split(np.arange(len(images)), -(-len(images) // batch_size)):
        pixels, labels = learner.move(*images.take(batch))
        logits = learner.model(learner.inputs(pixels))
        sums[0] += cross_entropy(logits, labels, reduction="sum")
        sums[1] += (logits.argmax(1) == labels).sum()
        on_batch()
    loss, accuracy = (sums / len(images)).tolist()  # a CPU-GPU sync point
    return loss, accuracy


def best_of(epochs: tuple[Epoch, ...]) -> Epoch:
    """Return the epoch with the highest validation accuracy, then the lowest loss, then the first.

    Without validation, return the last epoch.
    """

    def rank(epoch: Epoch) -> tuple[float, float]:
        return (epoch.val_accuracy or 0.0, -(epoch.val_loss or 0.0))

    return epochs[-1] if epochs[-1].val_loss is None else max(epochs, key=rank)


class Reporter:
    """Passes progress on to `on_step`: the first report, and then at most one per `REPORT_INTERVAL_S`."""

    def __init__(self, epochs: int, on_step: OnStep, clock: Callable[[], float] = time.monotonic) -> None:
        self._epochs = epochs
        self._on_step = on_step
        self._clock = clock
        self._next = clock()

    def report(self, epoch: int, val_accuracy: float | None, progress: float, loss_sum: Tensor, seen: int) -> None:
        """Report the mean training loss of this epoch so far and the validation accuracy of the last one."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + REPORT_INTERVAL_S
        loss = loss_sum.item() / seen  # a CPU-GPU sync point
        validated = "" if val_accuracy is None else f" · val accuracy {val_accuracy:.3f}"
        self._on_step(progress, f"epoch {epoch}/{self._epochs} · train loss {loss:.3f}{validated}")
