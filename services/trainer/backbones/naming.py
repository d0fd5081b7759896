"""The names that files have for the tensors of the known architectures."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from services.trainer.backbones.tensors import COUNTER

Renamed = Callable[[str], str]

PREFIXES = ("", "module.", "model.", "backbone.", "encoder.")  # of wrappers such as DataParallel and Lightning
CLASSIFIERS = ("fc.", "_fc.", "classifier.", "head.")
_DEPTHWISE_ONLY = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_TIMM_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_BLOCK_LAYERS = {"body.0": "conv1", "body.1": "bn1", "body.3": "conv2", "body.4": "bn2", "shortcut": "downsample"}


def namings(architecture: str, names: Iterable[str], stages: Sequence[int]) -> list[dict[str, str]]:
    """Return ways to name the tensors `names` of a body: each maps a name in the file to one of `names`.

    Tidepool's own names come first, then those of its saved states, then those of torchvision and timm. `stages` are
    the blocks of each stage of an EfficientNet-Lite.
    """
    kept = [name for name in names if not name.endswith(COUNTER)]
    ways: list[Renamed] = [lambda name: name]
    if architecture == "resnet18":
        ways += [lambda name: f"body.{name}", _torchvision(kept)]
    elif architecture == "cnn":
        ways += [lambda name: f"body.{name}"]
    else:
        ways += [lambda name: f"body.0.{name}", _timm(stages)]
    return [{way(name): name for name in kept} for way in ways]


def is_classifier(name: str, last: str | None) -> bool:
    """Return whether a tensor belongs to a classifier; `last` is the number of the last layer of a sequence."""
    return name.startswith(CLASSIFIERS) or (last is not None and name.removeprefix("body.").startswith(f"{last}."))


def stripped(names: Iterable[str], prefix: str) -> Mapping[str, str]:
    """Return the names of a file by what they are without a prefix."""
    return {name.removeprefix(prefix): name for name in names}


def _torchvision(names: list[str]) -> Renamed:
    """Name ResNet-18 as torchvision, timm and their safetensors files do; the first block follows the stem."""
    numbers = {int(name.partition(".")[0]) for name in names if re.match(r"\d+\.body\.", name)}
    first = min(numbers)

    def way(name: str) -> str:
        number, _, rest = name.partition(".")
        if int(number) < first:
            return f"{'conv1' if number == '0' else 'bn1'}.{rest}"
        block = int(number) - first
        for ours, theirs in _BLOCK_LAYERS.items():
            if rest.startswith(f"{ours}."):
                return f"layer{block // 2 + 1}.{block % 2}.{theirs}.{rest.removeprefix(f'{ours}.')}"
        return name

    return way


def _timm(stages: Sequence[int]) -> Renamed:
    """Name EfficientNet-Lite as timm's tf_efficientnet_lite models do: blocks are numbered within their stage."""
    places = [(stage, number) for stage, count in enumerate(stages) for number in range(count)]

    def way(name: str) -> str:
        if not name.startswith("_blocks."):
            layer, _, rest = name.partition(".")
            return f"{_TIMM_ENDS[layer]}.{rest}"
        _, block, layer, rest = name.split(".", 3)
        stage, number = places[int(block)]
        layers = _DEPTHWISE_ONLY if stage == 0 else _INVERTED
        return f"blocks.{stage}.{number}.{layers[layer]}.{rest}"

    return way
