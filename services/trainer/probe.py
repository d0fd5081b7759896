"""A linear head on features: multinomial logistic regression, with the penalty chosen on validation.

Features with a root mean square of 1 (`UnitLength`) are centred and divided by one number; both are folded into the
weights. Scaling each feature by itself was worse on photos of clothes (88.6 instead of 89.1 % on validation).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from contract.errors import Invalid
from services.trainer.train import class_weights

PENALTIES = (0.3, 0.1, 0.03, 0.01, 0.003)  # strongest first: each fit starts from the one before
ITERATIONS = 40
ROUGH_ITERATIONS = 20  # probabilities differ by about 1e-5 from those after ITERATIONS
HELD_OUT = 5  # without a validation split, every fifth image of a class chooses the penalty

Matrix = NDArray[np.float32]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Probe:
    """A linear head: `weight` (classes, features), `bias` (classes); loss and accuracy are of the validation images."""

    weight: Tensor
    bias: Tensor
    penalty: float
    loss: float
    accuracy: float

    def to_tensors(self) -> dict[str, Tensor]:
        return {name: torch.as_tensor(value) for name, value in vars(self).items()}

    @classmethod
    def of_tensors(cls, tensors: dict[str, Tensor]) -> Self:
        numbers = {name: tensors[name].item() for name in ("penalty", "loss", "accuracy")}
        return cls(weight=tensors["weight"], bias=tensors["bias"], **numbers)


def fit(train: tuple[Matrix, Labels], val: tuple[Matrix, Labels], classes: int, balanced: bool = False) -> Probe:
    """Fit a head to features (n, d) and labels (n,) and choose the penalty by the loss on `val`.

    If `val` is empty, a part of `train` chooses, and the head is fitted again to all. Deterministic on a CPU. Raises
    Invalid if there are fewer than two training images.
    """
    features, labels = train
    if len(labels) < 2:
        raise Invalid("the training split has fewer than two images")
    if len(val[1]) == 0:
        held_out = _held_out(labels)
        kept = ~held_out
        chosen = fit((features[kept], labels[kept]), (features[held_out], labels[held_out]), classes, balanced)
        return _fit(train, (features[held_out], labels[held_out]), classes, balanced, (chosen.penalty,))[0]
    return min(_fit(train, val, classes, balanced, PENALTIES), key=lambda probe: probe.loss)


def fit_penalty(train: tuple[Matrix, Labels], classes: int, balanced: bool, penalty: float) -> Probe:
    """Fit a head with a known penalty, less exactly than `fit`; its loss and accuracy are of the training images."""
    return _fit(train, train, classes, balanced, (penalty,), ROUGH_ITERATIONS)[0]


def _fit(
    train: tuple[Matrix, Labels],
    val: tuple[Matrix, Labels],
    classes: int,
    balanced: bool,
    penalties: tuple[float, ...],
    iterations: int = ITERATIONS,
) -> list[Probe]:
    """Return a probe for each penalty."""
    mean = train[0].mean(axis=0)
    spread = float(train[0].std(axis=0).mean()) or 1.0
    inputs, val_inputs = (torch.from_numpy((features - mean) / spread) for features in (train[0], val[0]))
    targets, val_targets = torch.from_numpy(train[1]), torch.from_numpy(val[1])
    weights = class_weights(train[1], classes) if balanced else None
    parameters = torch.zeros(inputs.shape[1] + 1, classes, requires_grad=True)
    probes = []
    for penalty in penalties:
        _minimize(parameters, inputs, targets, penalty, weights, iterations)
        solution = parameters.detach()
        logits = val_inputs @ solution[:-1] + solution[-1]
        weight = (solution[:-1] / spread).T.contiguous()
        probes.append(
            Probe(
                weight=weight,
                bias=solution[-1] - weight @ torch.from_numpy(mean),
                penalty=penalty,
                loss=cross_entropy(logits, val_targets).item(),
                accuracy=(logits.argmax(1) == val_targets).float().mean().item(),
            )
        )
    return probes


def _minimize(
    parameters: Tensor, inputs: Tensor, targets: Tensor, penalty: float, weights: Tensor | None, iterations: int
) -> None:
    """Minimize the mean cross-entropy plus penalty / 2 times the squares of the weights, by L-BFGS."""
    optimizer = torch.optim.LBFGS([parameters], max_iter=iterations, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = inputs @ parameters[:-1] + parameters[-1]
        loss = cross_entropy(logits, targets, weight=weights) + penalty / 2 * parameters[:-1].square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]


def ranks(labels: Labels) -> NDArray[np.int64]:
    """Number the images of each class from 0."""
    rank = np.zeros(len(labels), np.int64)
    for number in np.unique(labels):
        members = np.flatnonzero(labels == number)
        rank[members] = np.arange(len(members))
    return rank


def _held_out(labels: Labels) -> NDArray[np.bool_]:
    """Mark every fifth image of each class, and at least one image."""
    marked: NDArray[np.bool_] = ranks(labels) % HELD_OUT == HELD_OUT - 1
    marked[-1] |= not marked.any()
    return marked
