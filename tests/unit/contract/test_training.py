"""Defaults and validation of training specs."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.errors import BadModel
from contract.kinds.train import Replicas, TrainSpec
from contract.training import Adam, ResNet18, Sgd

MINIMAL: dict[str, Any] = {"dataset": "pets", "model": "mine"}
WORDS = st.sampled_from(["name", "layers", "cnn", "mlp", "hidden", "sgd", "lr", "conv", "relu", "dropout", "kernel"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
LAYERS = {"layers": [{"conv": 8, "padding": "valid"}, {"flatten": {}}]}


@pytest.mark.parametrize("architecture", [{"name": "cnn"}, {"name": "resnet18"}, ResNet18(name="resnet18")])
def test_a_convolutional_network_gets_the_sgd_recipe(architecture: Any) -> None:
    spec = TrainSpec.model_validate(MINIMAL | {"architecture": architecture})

    assert (spec.optimizer, spec.schedule, spec.label_smoothing) == (Sgd(name="sgd", lr=0.3), "onecycle", 0.1)
    assert (spec.batch_size, spec.augment) == (128, True)


@pytest.mark.parametrize("architecture", [{"name": "mlp"}, LAYERS])
def test_other_networks_get_the_adam_recipe(architecture: dict[str, Any]) -> None:
    spec = TrainSpec.model_validate(MINIMAL | {"architecture": architecture})

    assert (spec.optimizer, spec.schedule, spec.label_smoothing) == (Adam(lr=1e-3), "onecycle", 0.0)
    assert (spec.batch_size, spec.augment) == (128, True)


def test_fields_of_the_request_override_the_recipe() -> None:
    request = {"optimizer": {"name": "adam"}, "schedule": "constant", "batch_size": 32, "augment": False}

    spec = TrainSpec.model_validate(MINIMAL | {"architecture": {"name": "cnn"}} | request)

    assert (spec.optimizer, spec.schedule, spec.batch_size, spec.augment) == (Adam(), "constant", 32, False)
    assert spec.label_smoothing == 0.1


def test_without_an_architecture_everything_is_left_to_the_data() -> None:
    spec = TrainSpec.model_validate(MINIMAL)

    assert spec.model_dump(exclude_none=True) == MINIMAL | {"seed": 0}


@pytest.mark.parametrize("architecture", [{"name": "mlp", "hidden": [5]}, {"name": "cnn"}, LAYERS])
def test_a_complete_spec_is_not_changed_by_the_recipe(architecture: dict[str, Any]) -> None:
    spec = TrainSpec.model_validate(MINIMAL | {"architecture": architecture})

    assert TrainSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"architecture": {"name": "vgg"}}, "is not a known architecture; name mlp, cnn, airbench or resnet18"),
        ({"architecture": {}}, "is not a known architecture"),
        ({"architecture": "cnn"}, "is not a known architecture"),
        ({"architecture": {"name": ["cnn"]}}, "architecture"),
        ({"architecture": {"layers": []}}, "at least 1"),
        ({"architecture": {"layers": [{"relu": {}}] * 65}}, "at most 64"),
        ({"architecture": {"layers": [{"lstm": 1}]}}, "is not a known layer"),
        ({"architecture": {"name": "mlp", "hidden": [1] * 17}}, "at most 16"),
        ({"optimizer": {"name": "lion"}}, "optimizer"),
        ({"optimizer": {"name": "sgd", "lr": 0}}, "lr"),
        ({"optimizer": {"name": "sgd", "momentum": 1}}, "momentum"),
        ({"epochs": 0}, "epochs"),
        ({"epochs": 1001}, "epochs"),
        ({"batch_size": 1}, "batch_size"),
        ({"label_smoothing": 1}, "label_smoothing"),
        ({"augment": "yes"}, "augment"),
        ({"dataset": "Pets"}, "dataset"),
        ({"model": "mine@1"}, "model"),
        ({"learning_rate": 1}, "Extra inputs"),
    ],
    ids=str,
)
def test_an_invalid_spec_is_rejected(fault: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        TrainSpec.model_validate(MINIMAL | fault)


def test_airbench_has_a_recipe_of_its_own() -> None:
    spec = TrainSpec.model_validate(MINIMAL | {"architecture": {"name": "airbench"}})

    assert spec.optimizer == Sgd(name="sgd", lr=0.75, momentum=0.85, weight_decay=1.3e-3)
    assert (spec.epochs, spec.batch_size, spec.label_smoothing, spec.augment) == (10, 512, 0.2, True)


def misfit(architecture: dict[str, Any] | None, *image: int) -> str:
    """Return why a network cannot take images of (channels, height, width); empty if it can."""
    spec = TrainSpec.model_validate(MINIMAL | {"architecture": architecture})
    channels, height, width = image
    try:
        spec.check_shape((channels, height, width))
    except BadModel as error:
        return error.message
    return ""


def test_layers_must_fit_the_images() -> None:
    assert misfit(LAYERS, 3, 3, 3) == ""
    assert "layers[0] (conv)" in misfit(LAYERS, 3, 2, 3)


@pytest.mark.parametrize("architecture", [None, {"name": "mlp"}, {"name": "cnn"}, {"name": "resnet18"}])
def test_a_named_network_takes_images_of_any_shape(architecture: dict[str, Any] | None) -> None:
    assert misfit(architecture, 1, 1, 1) == ""


ARCHITECTURES = st.fixed_dictionaries({"layers": st.lists(JSON, max_size=3)}) | JSON


@given(st.fixed_dictionaries({}, optional={"architecture": ARCHITECTURES, "optimizer": JSON, "epochs": JSON}))
def test_any_json_is_either_a_valid_spec_or_rejected(fields: dict[str, Any]) -> None:
    with suppress(ValidationError):  # any other exception is a bug
        spec = TrainSpec.model_validate(MINIMAL | fields)
        assert TrainSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("replicas", "message"),
    [
        ({"min": 3, "max": 2}, "min is larger than max"),
        ({"max": 5}, "set shards to 5 or more"),
        ({"max": 0}, "greater than or equal to 1"),
        ({"min": 1}, "Field required"),
    ],
)
def test_replicas_that_cannot_share_a_training_are_refused(replicas: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Replicas.model_validate(replicas)


def test_a_batch_has_a_shard_for_each_replica() -> None:
    assert Replicas(max=4) == Replicas(min=1, max=4, shards=4)
    assert Replicas(max=8, shards=8).max == 8
