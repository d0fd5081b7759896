"""The training loop. It does not depend on jobs, the database or the object store."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from contract.errors import Invalid
from contract.tracing import traced
from contract.training import Epoch
from services.trainer.checkpoint import Checkpoint
from services.trainer.cores import use_cores
from services.trainer.data import Indices, ShardedImages, TrainingData, batches
from services.trainer.image_losses import ImageLosses
from services.trainer.learner import Learner
from services.trainer.metrics import DESCENT, show_epoch
from services.trainer.network import Network
from services.trainer.recipe import Recipe
from services.trainer.schedule import Clock, best_of

REPORT_INTERVAL_S = 0.5
VALIDATED_AT_ONCE = 1_500_000  # values; small images are validated in larger batches than they are trained in
LARGEST_LOSS = 1e6  # nats; a larger loss means that the training has diverged

OnStep = Callable[[float, str], None]
OnEpoch = Callable[[Checkpoint], None]
OnBatch = Callable[[float], None]


@dataclass(frozen=True)
class Trained:
    """The network with the weights of its best epoch (CPU, float32, evaluation mode), and how it was trained."""

    model: Network
    epochs: tuple[Epoch, ...]
    device: str
    image_losses: ImageLosses


def train(
    recipe: Recipe,
    data: TrainingData,
    *,
    on_step: OnStep,
    on_epoch: OnEpoch,
    network: Network | None = None,
    start: Checkpoint | None = None,
    stop_early: Callable[[], bool] = lambda: False,
    passes: "Passes | None" = None,
) -> Trained:
    """Fit a network to the training split and keep the weights of the best epoch.

    `on_step(progress 0..1, message)` is called after the first step and then about twice a second, and
    `on_epoch(checkpoint)` after each epoch; an exception in either ends the training. Training ends after the epochs or
    seconds of the recipe, after `patience` epochs without a better one, or in the current epoch once `stop_early()`.
    On a CPU, the same seed and number of threads give the same weights, bit for bit, also when resumed from `start`,
    unless the recipe has `seconds`. Starts from the weights of `network`, if given. Reseeds torch's global generator.
    `passes` are those of a training that several processes share.
    Raises BadModel, and Invalid if there are fewer than two training images, the loss is not finite or too large, or
    `start` is of another recipe.
    """
    if len(data.train) < 2:
        raise Invalid("the training split has fewer than two images")
    passes = passes or OwnPasses()
    if start is None:
        recipe = recipe.model_copy(update={"window": data.train.window})
    learner = Learner(recipe, data, network)
    epochs, best = (start.epochs, start.best) if start else ((), learner.weights())
    if start:
        if changes := recipe.changes(start.recipe):
            raise Invalid(f"the training cannot resume, because its recipe has changed: {changes}; submit it again")
        learner.resume(start)
    clock = Clock(recipe, start.seconds if start else 0.0, stop_early)
    reporter = Reporter(None if recipe.seconds else recipe.epochs, on_step)
    while not passes.over(clock, epochs):
        use_cores()
        number, started = len(epochs) + 1, time.monotonic()
        report = partial(reporter.report, number, epochs[-1].val_accuracy if epochs else None)
        loss_sum, seen = passes.train(learner, data, number, clock, on_batch=report)
        report_validation = partial(report, clock.progress(number, 0.0))
        val_loss, val_accuracy = passes.validate(learner, data.val, recipe.batch_size, on_batch=report_validation)
        # A network that was stopped after a few steps may have any finite loss on other images.
        if not (val_loss or 0.0) < (LARGEST_LOSS if seen == len(data.train) else math.inf):
            raise diverged(recipe, f"the loss on the validation split is {val_loss:g} after epoch {number}")
        epoch = Epoch(
            epoch=number,
            train_loss=loss_sum.item() / seen,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            seconds=time.monotonic() - started,
        )
        show_epoch(epoch)
        epochs = (*epochs, epoch)
        if best_of(epochs) is epoch:
            best = learner.weights()
        on_epoch(learner.checkpoint(epochs, best, clock.seconds))
    learner.model.load_state_dict(best)
    learner.model.eval()
    return Trained(learner.model.cpu(), epochs, str(learner.device), learner.image_losses)


@traced("epoch")
def train_epoch(
    learner: Learner, data: TrainingData, number: int, clock: Clock, on_batch: OnBatch
) -> tuple[Tensor, int]:
    """Train on every image once, in random order; return the sum of their losses, on the device, and their number.

    Ends early if the time is over. `on_batch(progress of the training)` is called after each batch. Raises Invalid if
    the loss is not finite or too large.
    """
    recipe, images = learner.recipe, data.train
    random = np.random.default_rng((recipe.seed, number))  # seeded in every epoch, so that training can resume at any
    torch.manual_seed(int(random.integers(2**63)))
    order = batches(images.order(random, recipe.window), recipe.batch_size)
    weights = class_weights(images.labels, data.classes) if recipe.class_weights == "balanced" else None
    class_weight = None if weights is None else weights.to(learner.device.torch_device)
    seen, losses, loss_sum = 0, list[Tensor](), torch.zeros((), device=learner.device.torch_device)
    image_losses = list[Tensor]()  # by hard labels, without smoothing or mixing
    learner.train_mode()
    for step, batch in enumerate(order):
        learner.advance(clock.progress(number, step / len(order)))
        pixels, labels = learner.move(*images.take(batch))
        inputs, targets = learner.batch(pixels, labels, data.classes)
        with learner.device.autocast():
            logits = learner.model(inputs)
        image_losses.append(cross_entropy(logits.detach().float(), labels, reduction="none"))
        loss = cross_entropy(logits.float(), targets, weight=class_weight, label_smoothing=recipe.label_smoothing)
        learner.optimizer.zero_grad()
        # The scaler does nothing unless the precision is float16.
        learner.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        learner.scaler.step(learner.optimizer)
        learner.scaler.update()
        seen += len(batch)
        DESCENT.inc(len(batch))
        losses.append(loss.detach())
        loss_sum += losses[-1] * len(batch)
        on_batch(clock.progress(number, (step + 1) / len(order)))
        if clock.stops():
            break
    require_converging(recipe, data, number, losses, order)
    learner.image_losses.add(number, np.concatenate(order[: len(losses)]), image_losses)
    return loss_sum, seen


def require_converging(
    recipe: Recipe, data: TrainingData, number: int, losses: Sequence[Tensor], order: Sequence[Indices]
) -> None:
    """Raise Invalid if the loss of a batch of epoch `number` is not finite or too large."""
    bad = ~(torch.stack(list(losses)) < LARGEST_LOSS)  # also NaN; found here, because a look at each would stall a GPU
    if bad.any():
        step = int(bad.int().argmax())
        where = f"epoch {number}, batch {step + 1} of {len(order)}: images {data.describe(order[step])}"
        raise diverged(recipe, f"the loss became {losses[step].item():g} in {where}")


def diverged(recipe: Recipe, what: str) -> Invalid:
    """Return the error of a training whose loss is not finite or too large."""
    return Invalid(f"the training diverged: {what}; use a learning rate below {recipe.optimizer.lr:g}")


def class_weights(labels: NDArray[np.int64], classes: int) -> Tensor:
    """Return a weight for each class, inversely proportional to its images; the mean over all images is 1."""
    counts = np.bincount(labels, minlength=classes)
    return torch.from_numpy(
        np.where(counts, len(labels) / np.maximum(counts, 1) / max((counts > 0).sum(), 1), 0.0)
    ).float()


@traced("validate")
@torch.no_grad()
def validate(
    learner: Learner, images: ShardedImages, batch_size: int, on_batch: Callable[[], None]
) -> tuple[float, float] | tuple[None, None]:
    """Return mean cross-entropy in nats and accuracy (0..1), both None if there are no images.

    Computes in float32, as serving does. A batch has `batch_size` images, or more if they are small. `on_batch()` is
    called after each.
    """
    if not len(images):
        return None, None
    learner.model.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=learner.device.torch_device)
    first, _ = images.take(np.zeros(1, np.int64))
    at_once = max(batch_size, VALIDATED_AT_ONCE // first.numel())
    for batch in np.array_split(np.arange(len(images)), -(-len(images) // at_once)):
        pixels, labels = learner.move(*images.take(batch))
        logits = learner.model(learner.inputs(pixels))
        sums[0] += cross_entropy(logits, labels, reduction="sum")
        sums[1] += (logits.argmax(1) == labels).sum()
        on_batch()
    loss, accuracy = (sums / len(images)).tolist()  # a CPU-GPU sync point
    return loss, accuracy


class Passes(Protocol):
    """How the epochs of a training are computed."""

    def over(self, clock: Clock, epochs: tuple[Epoch, ...]) -> bool:
        """Return whether the training ends with these epochs."""

    def train(
        self, learner: Learner, data: TrainingData, number: int, clock: Clock, on_batch: OnBatch
    ) -> tuple[Tensor, int]:
        """Train on every image once; see `train_epoch`."""

    def validate(
        self, learner: Learner, images: ShardedImages, batch_size: int, on_batch: Callable[[], None]
    ) -> tuple[float, float] | tuple[None, None]:
        """Return loss and accuracy; see `validate`."""


class OwnPasses:
    """The passes of a training in this process alone."""

    def over(self, clock: Clock, epochs: tuple[Epoch, ...]) -> bool:
        return clock.over(epochs)

    train = staticmethod(train_epoch)
    validate = staticmethod(validate)


class Reporter:
    """Passes progress on to `on_step`: the first report, and then at most one per `REPORT_INTERVAL_S`."""

    def __init__(self, epochs: int | None, on_step: OnStep, clock: Callable[[], float] = time.monotonic) -> None:
        self._epochs = epochs
        self._on_step = on_step
        self._clock = clock
        self._next = clock()

    def report(self, epoch: int, val_accuracy: float | None, progress: float) -> None:
        """Report the epoch, in plain words, and the validation accuracy of the last one."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + REPORT_INTERVAL_S
        validated = "" if val_accuracy is None else f" · right on {val_accuracy:.1%} of the validation images"
        total = f" of {self._epochs}" if self._epochs else ""
        self._on_step(progress, f"learning · pass {epoch}{total} over the images{validated}")
