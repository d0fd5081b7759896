"""Fits the tensors of a file to the networks that Tidepool knows."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn

from contract.backbones import BUILT_IN, KnownArchitecture
from contract.errors import BadModel
from contract.training import Cnn, ResNet18
from services.trainer.backbones.lite import Lite
from services.trainer.backbones.naming import PREFIXES, is_classifier, namings, stripped
from services.trainer.backbones.tensors import COUNTER
from services.trainer.checkpoint import Weights
from services.trainer.network import Blueprint, Network

ARCHITECTURES: tuple[KnownArchitecture, ...] = get_args(KnownArchitecture)
USUAL_SIZE = (224, 224)  # of images of ImageNet; height and width


@dataclass(frozen=True)
class Fit:
    """How the tensors of a file fit a network: `problem` is None if they do, and `hits` counts what matches.

    `weights` have the names of the network's body, without counters of batches.
    """

    architecture: KnownArchitecture
    blueprint: Blueprint
    weights: Weights
    hits: float
    problem: str | None


def fit(
    tensors: Mapping[str, Tensor], architecture: KnownArchitecture | None, channels: int, size: tuple[int, int] | None
) -> Fit:
    """Return the network of this architecture, or of the one that the tensors fit, with their weights.

    `size` is (height, width) of its images, None for the usual one. Raises BadModel, with the name of a tensor that is
    missing, unknown or of another shape.
    """
    if channels == 1 and architecture in BUILT_IN:
        raise BadModel(f"{architecture} takes RGB images; leave preprocessing.mode out")
    tried = (architecture,) if architecture else ARCHITECTURES
    fits = [_fit(tensors, blueprint, name) for name in tried for blueprint in _blueprints(name, channels, size)]
    best = max(fits, key=lambda fit: (fit.problem is None, fit.hits))
    if best.problem is None:
        return best
    if architecture is None:
        names = ", ".join(ARCHITECTURES)
        raise BadModel(f"the tensors fit none of {names}; the nearest is {best.architecture}: {best.problem}")
    raise BadModel(best.problem)


def load(fit: Fit) -> Network:
    """Build the network of a fit with its weights, and a head that is not trained."""
    network: Network = fit.blueprint.build().eval()
    core(network.body, fit.blueprint).load_state_dict(fit.weights, strict=False)  # counters keep their 0
    return network


def core(body: nn.Module, blueprint: Blueprint) -> nn.Module:
    """Return the part of a body that files have tensors of: without the normalization of a backbone's features."""
    return body[0] if blueprint.backbone else body  # type: ignore[index]


def _blueprints(name: KnownArchitecture, channels: int, size: tuple[int, int] | None) -> Iterator[Blueprint]:
    if name in BUILT_IN:
        if channels == 1:
            return
        height, width = size or (BUILT_IN[name].side,) * 2
        yield Blueprint(shape=(3, height, width), classes=1, backbone=name, resize=(height, width))
        return
    height, width = size or USUAL_SIZE
    for architecture in [Cnn(width=1), Cnn(width=2), Cnn(width=4)] if name == "cnn" else [ResNet18(name="resnet18")]:
        yield Blueprint(
            shape=(channels, height, width),
            classes=1,
            architecture=architecture,
            resize=(height, width),
            channels=channels,
        )


def _fit(tensors: Mapping[str, Tensor], blueprint: Blueprint, architecture: KnownArchitecture) -> Fit:
    """Compare the tensors with a network, by the way of naming that matches most of them."""
    with torch.device("meta"):
        body = core(blueprint.build().body, blueprint)
    expected = {name: tuple(value.shape) for name, value in body.state_dict().items() if not name.endswith(COUNTER)}
    last = None if isinstance(body, Lite) else str(len(body))  # type: ignore[arg-type]
    ways = namings(architecture, expected, body.stages if isinstance(body, Lite) else ())
    pairs = [(names, stripped(tensors, prefix)) for names in ways for prefix in PREFIXES]
    names, originals = max(pairs, key=lambda pair: len(pair[0].keys() & pair[1].keys()))
    weights = {ours: tensors[originals[name]] for name, ours in names.items() if name in originals}
    problem = _unequal_names(architecture, names, [name for name in originals if not is_classifier(name, last)])
    different = [name for name in names if name in originals and weights[names[name]].shape != expected[names[name]]]
    if problem is None and different:
        name = different[0]
        shapes = (_shape(weights[names[name]].shape), _shape(expected[names[name]]))
        images = f" for images of {_shape(blueprint.resize or ())} pixels (height×width)"
        problem = f"the tensor {name!r} has the shape {shapes[0]}, and {architecture}{images} has {shapes[1]}"
    return Fit(architecture, blueprint, weights, len(weights) - len(different) / 2, problem)


def _unequal_names(architecture: str, names: Collection[str], stored: Collection[str]) -> str | None:
    """Say which tensor is missing or unknown; None if the file has exactly these names."""
    missing = [name for name in names if name not in stored]
    unknown = [name for name in stored if name not in names]
    if len(missing) == len(names):
        example = f"such as {unknown[0][:80]!r}" if unknown else "which has none"
        return f"no tensor of the file, {example}, has a name that {architecture} knows, such as {missing[0]!r}"
    if missing:
        return f"{architecture} has the tensor {missing[0]!r}{_more(missing)}, which the file lacks"
    if unknown:
        return f"the file has the tensor {unknown[0][:80]!r}{_more(unknown)}, which {architecture} does not have"
    return None


def _more(names: Sequence[str]) -> str:
    return f" and {len(names) - 1} more" if len(names) > 1 else ""


def _shape(sides: Sequence[int]) -> str:
    return "×".join(map(str, sides))
