"""Several trained networks as one, whose answer is the mean of theirs."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from services.trainer.network import Network
from services.trainer.state import State

Scale = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation per channel


class Ensemble(nn.Module):
    """The logarithm of the mean of the members' probabilities, which serves like the logits of one network.

    Images (n, C, H, W) are normalized as the first member was trained; the others' normalizations are part of them.
    """

    def __init__(self, members: Sequence[Network], scales: Sequence[Scale]) -> None:
        super().__init__()
        self.members = nn.ModuleList(
            member if scale == scales[0] else nn.Sequential(Rescale(scales[0], scale), member)
            for member, scale in zip(members, scales, strict=True)
        )

    def forward(self, images: Tensor) -> Tensor:
        # In logarithms, since half precision has no probabilities below 6e-8.
        answers = torch.stack([member(images).log_softmax(dim=1) for member in self.members])
        return answers.logsumexp(dim=0) - math.log(len(self.members))


class Rescale(nn.Module):
    """Images normalized by one mean and deviation, normalized by another."""

    scale: Tensor
    shift: Tensor

    def __init__(self, given: Scale, wanted: Scale) -> None:
        super().__init__()
        (mean, std), (new_mean, new_std) = (
            (torch.tensor(values, dtype=torch.float64).view(-1, 1, 1) for values in scale) for scale in (given, wanted)
        )
        self.register_buffer("scale", (std / new_std).float())
        self.register_buffer("shift", ((mean - new_mean) / new_std).float())

    def forward(self, images: Tensor) -> Tensor:
        return images * self.scale + self.shift


def together(states: Sequence[State], shape: tuple[int, int, int], labels: tuple[str, ...]) -> nn.Module:
    """Return the network of the states for images of (channels, height, width): an ensemble if there are several."""
    networks = [state.network(shape, labels).eval() for state in states]
    if len(networks) == 1:
        return networks[0]
    return Ensemble(networks, [(state.mean, state.std) for state in states]).eval()
