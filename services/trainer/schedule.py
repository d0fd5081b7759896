"""How far a training is, by its epochs or by the clock, and when it ends."""

import time
from collections.abc import Callable

from contract.training import Epoch
from services.trainer.recipe import Recipe


class Clock:
    """Measures one attempt at a training; `before` are the seconds that earlier attempts took."""

    def __init__(
        self,
        recipe: Recipe,
        before: float = 0.0,
        stop_early: Callable[[], bool] = lambda: False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recipe = recipe
        self._stop_early = stop_early
        self._now = now
        self._started = now() - before

    @property
    def seconds(self) -> float:
        """The time that the training has taken, over all attempts."""
        return self._now() - self._started

    def progress(self, epoch: int, share: float) -> float:
        """Return the progress (0..1) after this share of an epoch; epochs count from 1."""
        if self._recipe.seconds is not None:
            return min(self.seconds / self._recipe.seconds, 1.0)
        return (epoch - 1 + share) / self._recipe.epochs

    def stops(self) -> bool:
        """Return whether to end within this epoch: the time is up, or a person has asked for the best model so far."""
        out_of_time = self._recipe.seconds is not None and self.seconds >= self._recipe.seconds
        return out_of_time or self._stop_early()

    def over(self, epochs: tuple[Epoch, ...]) -> bool:
        """Return whether the training ends with these epochs; there is always a first one."""
        if not epochs:
            return False
        last = self._recipe.seconds is None and len(epochs) >= self._recipe.epochs
        return last or self.stops() or out_of_patience(epochs, self._recipe.patience)


def out_of_patience(epochs: tuple[Epoch, ...], patience: int | None) -> bool:
    """Return whether `patience` epochs have passed since the first with the best validation accuracy.

    An equal accuracy is not better. Without validation, the training loss is compared.
    """
    if patience is None:
        return False
    best = max(epochs, key=lambda e: -e.train_loss if e.val_accuracy is None else e.val_accuracy)
    return len(epochs) - best.epoch >= patience


def best_of(epochs: tuple[Epoch, ...]) -> Epoch:
    """Return the epoch with the highest validation accuracy, then the lowest loss, then the first.

    Without validation, return the last epoch.
    """

    def rank(epoch: Epoch) -> tuple[float, float]:
        return (epoch.val_accuracy or 0.0, -(epoch.val_loss or 0.0))

    return epochs[-1] if epochs[-1].val_loss is None else max(epochs, key=rank)
