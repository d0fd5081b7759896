"""How far a training is, and when it ends."""

import pytest

from contract.training import Epoch
from services.trainer.schedule import Clock, best_of, out_of_patience
from tests.support.training_data import recipe


def epochs_of(*validated: tuple[float, float] | None) -> tuple[Epoch, ...]:
    """Epochs with these (accuracy, loss), or without validation."""
    return tuple(
        Epoch(
            epoch=number,
            train_loss=1.0,
            val_accuracy=pair[0] if pair else None,
            val_loss=pair[1] if pair else None,
            seconds=1.0,
        )
        for number, pair in enumerate(validated, start=1)
    )


@pytest.mark.parametrize(
    ("validated", "best"),
    [
        ([(0.5, 1.0), (0.9, 2.0), (0.8, 0.1)], 2),  # highest accuracy
        ([(0.9, 1.0), (0.9, 0.5), (0.9, 0.7)], 2),  # then lowest loss
        ([(0.9, 1.0), (0.9, 1.0)], 1),  # then first
        ([(0.0, 1.0), (0.0, 2.0)], 1),
        ([None, None, None], 3),
    ],
)
def test_best_epoch(validated: list[tuple[float, float] | None], best: int) -> None:
    assert best_of(epochs_of(*validated)).epoch == best


def test_an_equal_accuracy_does_not_reset_patience() -> None:
    epochs = epochs_of((0.5, 1.0), (0.9, 1.0), (0.9, 0.9), (0.9, 0.8))

    assert out_of_patience(epochs, patience=2)
    assert not out_of_patience(epochs, patience=3)
    assert not out_of_patience(epochs, patience=None)


def test_a_budget_is_measured_over_all_attempts() -> None:
    moments = iter([100.0, 105.0, 105.0, 111.0, 111.0])
    clock = Clock(recipe(epochs=3).model_copy(update={"seconds": 20.0}), before=9.0, now=lambda: next(moments))

    assert clock.progress(1, 0.0) == pytest.approx(14 / 20)
    assert not clock.stops()
    assert clock.progress(1, 0.0) == 1.0
    assert clock.stops()


def test_there_is_always_a_first_epoch() -> None:
    clock = Clock(recipe(epochs=3).model_copy(update={"seconds": 0.0}))

    assert not clock.over(())
    assert clock.over(epochs_of(None))


def test_a_request_for_the_best_model_ends_the_training() -> None:
    clock = Clock(recipe(epochs=3), stop_early=lambda: True)

    assert clock.over(epochs_of(None))
