"""Optimizers and learning rate schedules."""

import pytest
import torch
from torch import nn

from contract.training import Adam, Sgd
from services.trainer.optimization import build_optimizer, lr_factor

MODEL = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.mark.parametrize("spec", [Adam(weight_decay=0.1), Sgd(name="sgd", weight_decay=0.1)])
def test_weight_decay_applies_to_filters_only(spec: Adam | Sgd) -> None:
    decayed, not_decayed = build_optimizer(spec, MODEL).param_groups

    assert decayed["weight_decay"] == 0.1
    assert [weight.ndim for weight in decayed["params"]] == [4]
    assert not_decayed["weight_decay"] == 0
    assert [weight.ndim for weight in not_decayed["params"]] == [1, 1, 1]


@pytest.mark.parametrize(("momentum", "second_step"), [(0.0, -2.0), (0.5, -3.25)])
def test_sgd_uses_nesterov_momentum(momentum: float, second_step: float) -> None:
    weight = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(weight.weight)
    optimizer = build_optimizer(Sgd(name="sgd", lr=1.0, momentum=momentum, weight_decay=0), weight)

    for _ in range(2):
        weight.weight.grad = torch.ones(1, 1)
        optimizer.step()

    # by hand: velocity 1, then 1 + m; each step is gradient + m * velocity
    assert weight.weight.item() == pytest.approx(second_step)


@pytest.mark.parametrize(
    ("schedule", "progress", "expected"),
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
def test_learning_rate_follows_the_schedule(schedule: str, progress: float, expected: float) -> None:
    assert lr_factor(schedule, progress) == pytest.approx(expected)
