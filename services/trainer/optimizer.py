"""The only place that builds an optimizer."""

import torch
from torch import nn

from contract.training import Adam, Optimizer


def build_optimizer(spec: Optimizer, model: nn.Module) -> torch.optim.Optimizer:
    """Adam or SGD with Nesterov momentum; weight decay on matrices and filters, never on biases and norms."""
    weights = list(model.parameters())
    groups = [
        {"params": [weight for weight in weights if weight.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [weight for weight in weights if weight.ndim <= 1], "weight_decay": 0.0},
    ]
    if isinstance(spec, Adam):
        return torch.optim.Adam(groups, lr=spec.lr, fused=True)
    return torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum, nesterov=spec.momentum > 0, fused=True)
