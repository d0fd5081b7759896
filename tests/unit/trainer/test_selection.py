"""Which epoch's weights become the model."""

import pytest

from contract.training import Epoch
from services.trainer.selection import best_of


def epochs(*validated: tuple[float, float] | None) -> tuple[Epoch, ...]:
    """Epochs with these (accuracy, loss), or unvalidated."""
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
        ([(0.5, 1.0), (0.9, 2.0), (0.8, 0.1)], 2),  # accuracy counts first
        ([(0.9, 1.0), (0.9, 0.5), (0.9, 0.7)], 2),  # then loss
        ([(0.9, 1.0), (0.9, 1.0)], 1),  # then the first
        ([(0.0, 1.0), (0.0, 2.0)], 1),
        ([None, None, None], 3),
    ],
)
def test_best_of(validated: list[tuple[float, float] | None], best: int) -> None:
    assert best_of(epochs(*validated)).epoch == best
