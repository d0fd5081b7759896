"""The optimizers."""

import pytest
import torch
from torch import nn

from contract.training import Adam, Sgd
from services.trainer.optimizer import build_optimizer

MODEL = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.mark.parametrize("spec", [Adam(weight_decay=0.1), Sgd(name="sgd", weight_decay=0.1)])
def test_only_filters_decay(spec: Adam | Sgd) -> None:
    decayed, free = build_optimizer(spec, MODEL).param_groups

    assert decayed["weight_decay"] == 0.1
    assert [weight.ndim for weight in decayed["params"]] == [4]
    assert free["weight_decay"] == 0
    assert [weight.ndim for weight in free["params"]] == [1, 1, 1]


@pytest.mark.parametrize(("momentum", "second_step"), [(0.0, -2.0), (0.5, -3.25)])
def test_sgd_steps_with_nesterov_momentum(momentum: float, second_step: float) -> None:
    weight = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(weight.weight)
    optimizer = build_optimizer(Sgd(name="sgd", lr=1.0, momentum=momentum, weight_decay=0), weight)

    for _ in range(2):
        weight.weight.grad = torch.ones(1, 1)
        optimizer.step()

    # by hand: velocity 1, then 1 + m; each step is gradient + m * velocity
    assert weight.weight.item() == pytest.approx(second_step)
