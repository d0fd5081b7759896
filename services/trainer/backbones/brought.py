"""What a training starts from if `init_from` names a backbone that a person brought."""

from dataclasses import dataclass, replace
from pathlib import Path

from contract.backbones import BackboneManifest, OnnxNames
from contract.datasets import Label
from contract.errors import BadModel
from contract.images import CHANNELS, Preprocessing
from contract.models import ModelCard
from contract.references import Reference
from services.trainer.backbones.graph import fitted
from services.trainer.probe import Probe
from services.trainer.state import State
from worker.task import Task


@dataclass(frozen=True)
class Graph:
    """A backbone that is an ONNX file: it computes features for a probe, and has no weights to train.

    `mean` and `std` are those of the dataset's images.
    """

    name: str
    file: Path
    names: OnnxNames
    manifest: BackboneManifest
    mean: tuple[float, ...]
    std: tuple[float, ...]
    labels: tuple[Label, ...] = ()

    @property
    def parameters(self) -> int:
        return self.manifest.parameters

    def write_body(
        self, shape: tuple[int, int, int], labels: tuple[Label, ...], preprocessing: Preprocessing, path: Path
    ) -> None:
        """Write the ONNX file that computes the features of a dataset's images."""
        taken, count = self.manifest.images, self.manifest.features
        card = ModelCard(labels=tuple(str(number) for number in range(count)), preprocessing=preprocessing)
        model = fitted(self.file, self.names, count, taken.size, CHANNELS[taken.mode], card)
        path.write_bytes(model.SerializeToString(deterministic=True))

    def classifier(self, shape: tuple[int, int, int], labels: tuple[Label, ...], head: Probe) -> None:
        """Return None: there is no network in PyTorch."""

    def blueprint_of(self, shape: tuple[int, int, int], classes: int) -> None:
        """Return None: there is no network in PyTorch."""


def brought(task: Task, name: str, shape: tuple[int, int, int]) -> State | Graph | None:
    """Fetch a backbone for images (channels, height, width); None if nobody has brought one of this name.

    Raises BadModel if it was rejected or takes other channels.
    """
    reference = Reference.parse(name)
    if not task.backbones.known(reference.name):
        return None
    pinned, manifest = task.backbones.manifest(reference)
    channels, taken = shape[0], CHANNELS[manifest.images.mode]
    if taken < channels:
        raise BadModel(f"{pinned} takes grey images; prepare the dataset again with mode L")
    mean, std = (_for_channels(values, channels) for values in (manifest.images.mean, manifest.images.std))
    if manifest.onnx is None:
        state = State.from_bytes(str(pinned), task.objects.read(manifest.file))
        return replace(state, mean=mean, std=std)
    file = task.folder / "brought.onnx"
    task.objects.fetch(manifest.file, file)
    return Graph(str(pinned), file, manifest.onnx, manifest, mean, std)


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return the numbers of each of the `channels`; that of grey images is the average of the colours'."""
    return values if len(values) == channels else (sum(values) / len(values),) * channels
