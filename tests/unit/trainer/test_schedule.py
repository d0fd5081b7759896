"""How the learning rate moves."""

import pytest

from services.trainer.schedule import factor


@pytest.mark.parametrize(
    ("schedule", "done", "expected"),
    [
        ("constant", 0.0, 1.0),
        ("constant", 0.99, 1.0),
        ("cosine", 0.0, 1.0),
        ("cosine", 0.5, 0.5),
        ("cosine", 1.0, 0.0),
        ("onecycle", 0.0, 1 / 25),
        ("onecycle", 0.125, (1 + 1 / 25) / 2),
        ("onecycle", 0.25, 1.0),
        ("onecycle", 0.625, 0.5),
        ("onecycle", 1.0, 0.0),
    ],
)
def test_factor(schedule: str, done: float, expected: float) -> None:
    assert factor(schedule, done) == pytest.approx(expected)
