"""The handler of backbone jobs: from an uploaded safetensors or ONNX file to a backbone that trainings start from."""

from pathlib import Path

import torch

from contract.artifacts import ObjectRef
from contract.backbones import BUILT_IN, BackboneImages, BackboneInput, BackboneManifest, OnnxNames
from contract.errors import BadModel
from contract.images import CHANNELS, ImageSpec, Preprocessing
from contract.kinds.backbone import BackboneSpec
from contract.models import ModelCard
from services.trainer.backbones.graph import examine, fitted
from services.trainer.backbones.known import Fit, fit, load
from services.trainer.backbones.tensors import is_safetensors, read_tensors
from services.trainer.model import parameters
from services.trainer.settings import BackboneSettings
from services.trainer.state import State
from worker.task import Task

NEEDED = '"preprocessing": {"size": [224, 224], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}'


def bring_backbone(task: Task) -> BackboneManifest:
    """Check the job's upload and keep it as a backbone; raises BadModel, with the reason, if it cannot be one."""
    spec, most = BackboneSpec.model_validate(task.job.spec), BackboneSettings().file_bytes
    upload = task.uploads.ref(spec.source.upload)
    if upload.size > most:
        raise BadModel(f"the file has {upload.size} bytes; a backbone can have at most {most}")
    file = task.folder / "backbone"
    task.report(0.1, "loading the file")
    task.objects.fetch(upload, file)
    if is_safetensors(file):
        return _from_tensors(task, spec, upload, file)
    return _from_graph(task, spec, upload, file)


def _from_tensors(task: Task, spec: BackboneSpec, upload: ObjectRef, file: Path) -> BackboneManifest:
    task.report(0.3, "checking the weights")
    images = spec.preprocessing
    matched = fit(
        read_tensors(file),
        spec.architecture,
        CHANNELS[images.mode] if images else 3,
        images.size if images else None,
    )
    taken = _images(images, matched)
    network = load(matched)
    features = _features(network.features, taken)
    state = State(spec.backbone, matched.blueprint, network.state_dict(), taken.mean, taken.std)
    return BackboneManifest(
        format="safetensors",
        file=task.put("state.safetensors", state.to_bytes()),
        sha256=upload.sha256,
        size_bytes=upload.size,
        architecture=matched.architecture,
        images=taken,
        features=features,
        parameters=parameters(network.body),
        licence=spec.licence,
    )


def _images(images: BackboneInput | None, matched: Fit) -> BackboneImages:
    """Return the images that the network takes; raises BadModel if the metadata does not say it."""
    height, width = matched.blueprint.resize or (0, 0)
    known = BUILT_IN.get(matched.architecture)
    if images is None and known is not None:
        return BackboneImages(size=(height, width), mode="RGB", mean=(known.mean,) * 3, std=(known.std,) * 3)
    if images is None or (images.size is None and known is None):
        raise BadModel(
            f"the network is a {matched.architecture}; add the images that it was trained with to the metadata, such "
            f"as {NEEDED}"
        )
    return described(images, (height, width))


def described(images: BackboneInput, size: tuple[int, int]) -> BackboneImages:
    """Return the images with mean and standard deviation of pixels in 0..1."""
    mean, std = (tuple(value / images.scale for value in values) for values in (images.mean, images.std))
    return BackboneImages(size=size, mode=images.mode, mean=mean, std=std)


@torch.no_grad()
def _features(body: torch.nn.Module, images: BackboneImages) -> int:
    """Return the number of features; raises BadModel if those of random images are not finite."""
    pair = torch.randn(2, CHANNELS[images.mode], *images.size, generator=torch.Generator().manual_seed(0))
    features = body(pair)
    if not torch.isfinite(features).all():
        raise BadModel("the features of random images are not finite numbers; check running_var and the weights")
    return int(features.shape[1])


def _from_graph(task: Task, spec: BackboneSpec, upload: ObjectRef, file: Path) -> BackboneManifest:
    if spec.architecture is not None:
        raise BadModel("the file is not safetensors; leave architecture out if it is an ONNX file")
    if spec.preprocessing is None:
        raise BadModel(f"an ONNX file needs the images that it was trained with in the metadata, such as {NEEDED}")
    task.report(0.3, "trying the network on random images")
    channels = CHANNELS[spec.preprocessing.mode]
    examined = examine(file, channels, spec.preprocessing.size)
    images = described(spec.preprocessing, examined.size)
    names = OnnxNames(input=examined.input, output=examined.output)
    preprocessing = Preprocessing(image=ImageSpec(size=images.size, mode=images.mode), mean=images.mean, std=images.std)
    card = ModelCard(labels=("any",), preprocessing=preprocessing)
    fitted(file, names, examined.features, images.size, channels, card)  # so that no training finds out that it fails
    return BackboneManifest(
        format="onnx",
        file=task.put("backbone.onnx", file),
        sha256=upload.sha256,
        size_bytes=upload.size,
        images=images,
        features=examined.features,
        parameters=examined.parameters,
        licence=spec.licence,
        onnx=names,
    )
