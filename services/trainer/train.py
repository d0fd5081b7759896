"""The training loop; it knows nothing of jobs, databases or object stores."""

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
from contract.kinds.train import TrainSpec
from contract.training import Epoch
from services.trainer.augment import augment
from services.trainer.checkpoint import Checkpoint
from services.trainer.data import TrainingData, batches
from services.trainer.learner import Learner
from services.trainer.pulse import Pulse
from services.trainer.schedule import factor
from services.trainer.selection import best_of
from services.trainer.validate import validate

OnStep = Callable[[float, str], None]
OnEpoch = Callable[[Checkpoint], None]


@dataclass(frozen=True)
class Trained:
    """The network with the weights of its best epoch (CPU, float32, evaluation mode), and how it came about."""

    model: nn.Module
    epochs: tuple[Epoch, ...]
    device: str


def train(
    spec: TrainSpec, data: TrainingData, *, on_step: OnStep, on_epoch: OnEpoch, start: Checkpoint | None = None
) -> Trained:
    """Fit a network to the training split and keep the weights of the best epoch.

    `on_step(share done, message)` is called at the first step and then about twice a second, `on_epoch(checkpoint)`
    after each epoch; what they raise ends the training. On a CPU, the same seed and number of threads give the same
    weights, bit for bit, also when resumed from `start`. Reseeds torch's global generator. Raises BadModel, and
    Invalid when there is nothing to learn from or the training diverges.
    """
    if len(data.train) < 2:
        raise Invalid("the training split has less than two pictures")
    learner = Learner(spec, data)
    epochs, best = (start.epochs, start.best) if start else ((), learner.weights())
    if start:
        learner.resume(start)
    pulse = Pulse()

    def tell(done: float, loss_sum: Tensor, seen: int) -> None:
        if pulse.due():
            loss = loss_sum.item() / seen  # a CPU-GPU sync point
            accuracy = epochs[-1].val_accuracy if epochs else None
            validated = "" if accuracy is None else f" · val accuracy {accuracy:.3f}"
            on_step(done, f"epoch {len(epochs) + 1}/{spec.epochs} · train loss {loss:.3f}{validated}")

    steps = len(batches(np.arange(len(data.train)), spec.batch_size)) * spec.epochs
    for number in range(len(epochs) + 1, spec.epochs + 1):
        began = time.monotonic()
        step = steps * (number - 1) // spec.epochs
        seen, loss_sum = 0, torch.zeros((), device=learner.device.where)
        random = np.random.default_rng((spec.seed, number))  # anew in every epoch, so that it can be resumed from
        torch.manual_seed(int(random.integers(2**63)))
        learner.model.train()
        for batch in batches(random.permutation(len(data.train)), spec.batch_size):
            learner.set_rate(spec.optimizer.lr * factor(spec.schedule, step / steps))
            images, labels = learner.move(*data.train.take(batch))
            with learner.device.autocast():
                logits = learner.model(learner.inputs(augment(images) if spec.augment else images))
            loss = cross_entropy(logits.float(), labels, label_smoothing=spec.label_smoothing)
            learner.optimizer.zero_grad()
            # The scaler passes everything on as it is, unless the precision is float16.
            learner.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            learner.scaler.step(learner.optimizer)
            learner.scaler.update()
            step += 1
            seen += len(batch)
            loss_sum += loss.detach() * len(batch)
            tell(step / steps, loss_sum, seen)

        train_loss = loss_sum.item() / seen
        tell_still = partial(tell, step / steps, loss_sum, seen)
        val_loss, val_accuracy = validate(learner, data.val, spec.batch_size, on_batch=tell_still)
        if not math.isfinite(train_loss + (val_loss or 0.0)):
            raise Invalid(f"the training diverged in epoch {number}; use a learning rate below {spec.optimizer.lr:g}")
        epoch = Epoch(
            epoch=number,
            train_loss=train_loss,
            val_loss=val_loss,
            val_accuracy=val_accuracy,
            seconds=time.monotonic() - began,
        )
        epochs = (*epochs, epoch)
        if best_of(epochs) is epoch:
            best = learner.weights()
        on_epoch(learner.checkpoint(epochs, best))

    learner.model.load_state_dict(best)
    return Trained(learner.model.cpu().eval(), epochs, str(learner.device))
