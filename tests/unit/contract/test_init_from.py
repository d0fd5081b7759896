"""What a training starts from."""

import pytest
from pydantic import ValidationError

from contract.backbones import BackboneManifest
from contract.errors import Invalid
from contract.kinds.kind import Manifests
from contract.kinds.train import TrainSpec
from contract.references import references_in, with_references
from tests.examples import BACKBONE_IMAGES, BACKBONE_MANIFEST, DATASET_MANIFEST, MODEL_MANIFEST


def spec(**fields: object) -> TrainSpec:
    return TrainSpec.model_validate({"dataset": "pets@1", "model": "net"} | fields)


def test_a_backbone_refers_to_nothing_stored() -> None:
    assert list(references_in(spec(init_from="lite0"))) == [("dataset", "pets@1")]


def test_a_model_is_pinned() -> None:
    request = spec(init_from="net")

    assert list(references_in(request)) == [("dataset", "pets@1"), ("start", "net")]
    assert with_references(request, {("start", "net"): "net@3"}).init_from == "net@3"


def test_a_model_without_weights_is_refused_at_submission() -> None:
    manifests = Manifests({"pets@1": DATASET_MANIFEST}, {"net@3": MODEL_MANIFEST.model_copy(update={"state": None})})

    with pytest.raises(Invalid, match="net@3 has no weights to start from"):
        spec(init_from="net@3").check(manifests)


def test_a_model_of_grey_images_does_not_take_colours() -> None:
    assert MODEL_MANIFEST.preprocessing is not None
    image = MODEL_MANIFEST.preprocessing.image.model_copy(update={"mode": "L"})
    grey = MODEL_MANIFEST.preprocessing.model_copy(update={"image": image})
    model = MODEL_MANIFEST.model_copy(update={"preprocessing": grey, "state": MODEL_MANIFEST.artifact})
    manifests = Manifests({"pets@1": DATASET_MANIFEST}, {"net@3": model})

    with pytest.raises(Invalid, match="net@3 takes grey images, and pets@1 has colours"):
        spec(init_from="net@3").check(manifests)


GRAPH = BACKBONE_MANIFEST.model_copy(update={"format": "onnx"})
GREY = BACKBONE_IMAGES.model_copy(update={"mode": "L"})


def refusal(backbone: BackboneManifest, **fields: object) -> str:
    """Return why a training from a backbone is refused at submission; empty if it is accepted."""
    try:
        spec(init_from="mine@1", **fields).check(Manifests({"pets@1": DATASET_MANIFEST}, {}, {"mine@1": backbone}))
    except Invalid as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    ("backbone", "fields", "message"),
    [
        (GRAPH, {"method": "fine_tune"}, "mine@1 is an ONNX file, which cannot be fine-tuned; use method probe"),
        (GRAPH, {"epochs": 3}, "a probe is fitted without epochs; leave it out"),
        (BACKBONE_MANIFEST.model_copy(update={"images": GREY}), {}, "mine@1 takes grey images, and pets@1 has colours"),
    ],
)
def test_a_backbone_that_does_not_fit_is_refused_at_submission(
    backbone: BackboneManifest, fields: dict[str, object], message: str
) -> None:
    assert message in refusal(backbone, **fields)


@pytest.mark.parametrize("fields", [{}, {"method": "probe"}, {"budget": {"minutes": 1}}])
def test_a_graph_is_accepted_for_a_probe(fields: dict[str, object]) -> None:
    assert refusal(GRAPH, **fields) == ""


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "probe", "epochs": 3}, "a probe is fitted without epochs"),
        ({"architecture": {"name": "cnn"}, "init_from": "lite0"}, "architecture is for training from scratch"),
        ({"architecture": {"name": "cnn"}, "method": "fine_tune"}, "architecture is for training from scratch"),
        ({"method": "scratch", "init_from": "lite0"}, "method scratch starts from random weights"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(**fields)
