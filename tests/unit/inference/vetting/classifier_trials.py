"""Tries uploaded image classifiers, and serves them with the card that vetting has made."""

from pathlib import Path

import numpy as np
from onnx import helper, numpy_helper

from contract.kinds.vet import ImageInput, ModelMetadata
from contract.models import ModelCard
from services.inference.engine.loader import ModelLoader
from services.inference.engine.model import LoadedModel
from services.inference.engine.postprocess import probabilities
from services.inference.vetting.classifier import Classified, try_classifier
from services.inference.vetting.samples import trial_images
from services.inference.vetting.static import append_card, check, parse
from tests.support import onnx_classifiers as models
from tests.support.onnx_classifiers import SIZE

LABELS = ("ant", "bee", "cow")
HALVES = {"mean": (0.5,) * 3, "std": (0.5,) * 3}


def image(**changes: object) -> ImageInput:
    return ImageInput.model_validate({"size": SIZE} | HALVES | changes)


def tried(file: bytes, *, labels: tuple[str, ...] = LABELS, output: str | None = None, **changes: object) -> Classified:
    metadata = ModelMetadata.model_validate({"labels": labels, "preprocessing": image(**changes), "output": output})
    return try_classifier(ModelLoader().load(file), metadata, check(parse(file)).output_layer, 8)


def codes(classified: Classified) -> list[str]:
    return [warning.code for warning in classified.warnings]


def served(file: bytes, card: ModelCard, folder: Path) -> LoadedModel:
    path = folder / "model.onnx"
    path.write_bytes(file)
    append_card(path, card)
    model = ModelLoader(max_batch=8).load(path)
    assert model.card == card
    return model


def scores(model: LoadedModel, count: int = 6) -> np.ndarray:
    shape = model.card.preprocessing.image.shape
    images = trial_images(shape)[:count]
    return probabilities(model.run(images), model.card.output)


def raw(file: bytes, inputs: np.ndarray) -> np.ndarray:
    model = ModelLoader().load(file)
    return np.concatenate([model.session.run(None, {"images": row[np.newaxis]})[0] for row in inputs])


def reshaped(*shape: int) -> models.Nodes:
    constant = numpy_helper.from_array(np.array(shape, np.int64))
    return (
        helper.make_node("Constant", [], ["form"], value=constant),
        helper.make_node("Reshape", ["logits", "form"], ["output"]),
    )
