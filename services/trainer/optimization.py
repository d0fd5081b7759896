"""Optimizer and learning rate schedule."""

import math
from typing import Literal

import torch
from torch import nn

from contract.training import Adam, Optimizer

WARM_UP = 0.25  # share of the steps in which `onecycle` raises the learning rate
START = 1 / 25  # initial learning rate of `onecycle`, as a share of the peak


def build_optimizer(spec: Optimizer, model: nn.Module, body_rate: float = 1.0) -> torch.optim.Optimizer:
    """Build Adam, or SGD with Nesterov momentum; weight decay applies to matrices and filters, not to biases and norms.

    The learning rate of the weights outside of the head is `body_rate` times the rate of the spec; 0 leaves them out.
    `peak` in each group is its rate before the schedule. The implementations are PyTorch's fused ones.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}  # each group costs a call in every step
    for name, weight in model.named_parameters():
        rate = spec.lr * (1.0 if name.startswith("head.") else body_rate)
        decay = spec.weight_decay if weight.ndim > 1 else 0.0
        if rate > 0:
            groups.setdefault((rate, decay), []).append(weight)
    described = [
        {"params": weights, "weight_decay": decay, "lr": rate, "peak": rate}
        for (rate, decay), weights in groups.items()
    ]
    if isinstance(spec, Adam):
        return torch.optim.Adam(described, lr=spec.lr, fused=True)
    return torch.optim.SGD(described, lr=spec.lr, momentum=spec.momentum, nesterov=spec.momentum > 0, fused=True)


def lr_factor(schedule: Literal["onecycle", "cosine", "constant"], progress: float) -> float:
    """Return the factor of the peak learning rate after the share `progress` (0..1) of all steps.

    `cosine` is Loshchilov and Hutter, "SGDR", 2016, without restarts. `onecycle` is Smith and Topin,
    "Super-Convergence", 2017, with cosine annealing and constant momentum.
    """
    match schedule:
        case "constant":
            return 1.0
        case "cosine":
            return _cosine(1.0, 0.0, progress)
        case "onecycle" if progress < WARM_UP:
            return _cosine(START, 1.0, progress / WARM_UP)
        case "onecycle":
            return _cosine(1.0, 0.0, (progress - WARM_UP) / (1 - WARM_UP))


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2
