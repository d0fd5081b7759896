"""What a search may try, and what the request says about the rest."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from contract.errors import Invalid
from contract.kinds.kind import Manifests
from contract.kinds.train import TrainSpec
from tests.examples import BACKBONE_MANIFEST, DATASET_MANIFEST

OVER = {
    "optimizer.lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "architecture.name": ["cnn", "resnet18"],
    "augment.erase": [0, 0.25],
}


def spec(over: Any = OVER, fields: dict[str, Any] | None = None, **search: Any) -> TrainSpec:
    values = {"dataset": "pets@1", "model": "net", **(fields or {})}
    return TrainSpec.model_validate(values | {"search": {"over": over} | search})


def test_a_trial_has_the_parameters_and_the_recipe_of_its_architecture() -> None:
    parameters = {"optimizer.lr": 0.01, "architecture.name": "resnet18", "augment.erase": 0.25}

    trial = spec(trials=16, minutes=20, objective="val.macro_f1").with_parameters(parameters)

    assert trial.search is None
    assert (trial.architecture.name, trial.epochs) == ("resnet18", 20)  # type: ignore[union-attr]
    assert trial.optimizer is not None
    assert (trial.optimizer.name, trial.optimizer.lr) == ("sgd", 0.01)
    assert trial.augment.erase == 0.25  # type: ignore[union-attr]


def test_a_trial_has_no_parameter_that_does_not_apply_to_it() -> None:
    over = {
        "optimizer.name": ["adam", "sgd"],
        "optimizer.momentum": {"low": 0.5, "high": 0.9},
        "architecture.name": ["cnn", "mlp"],
        "architecture.width": [1, 2],
    }

    trial = spec(over).with_parameters(
        {"optimizer.name": "adam", "optimizer.momentum": 0.6, "architecture.name": "mlp", "architecture.width": 2}
    )
    probe = spec({"method": ["probe", "scratch"], "epochs": [5, 9]}).with_parameters({"method": "probe", "epochs": 5})

    assert trial.optimizer is not None
    assert (trial.optimizer.name, trial.architecture.name) == ("adam", "mlp")  # type: ignore[union-attr]
    assert (probe.method, probe.epochs) == ("probe", None)


def test_a_plain_training_is_stored_as_by_earlier_releases() -> None:
    stored = TrainSpec(dataset="pets@1", model="net").model_dump(mode="json")

    assert not {"search", "folds", "replicas"} & stored.keys()
    assert "ensemble" not in spec().model_dump(mode="json")["search"]
    searching = spec(ensemble=3)
    assert TrainSpec.model_validate_json(json.dumps(searching.model_dump(mode="json"))) == searching


def test_an_ensemble_has_one_to_ten_trials_and_one_unless_the_request_says_more() -> None:
    assert [spec(ensemble=count).search.ensemble for count in (1, 10)] == [1, 10]  # type: ignore[union-attr]
    assert spec().search.ensemble == 1  # type: ignore[union-attr]
    for count, message in ((0, "greater than or equal to 1"), (11, "less than or equal to 10"), (2.0, "valid integer")):
        with pytest.raises(ValidationError, match=message):
            spec(ensemble=count)


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({}, "at least 1 item"),
        ({"optimizer.rate": [0.1]}, "over.optimizer.rate is not a field that can be searched; name one of method, "),
        ({"optimizer.lr": []}, "at least 1 item"),
        ({"optimizer.lr": 0.1}, 'write a range as {"low": 0.001, "high": 0.1, "log": true}, or a list of values'),
        ({"optimizer.lr": [0.1, 0.1]}, "has a value twice"),
        ({"optimizer.lr": {"low": 0.1, "high": 0.1}}, "low must be less than high"),
        ({"optimizer.lr": {"low": 0.2, "high": 0.1}}, "low is 0.2 and high 0.1; low must be less than high"),
        ({"augment.erase": {"low": 0, "high": 0.1, "log": True}}, "with log it must be more than 0"),
        ({"optimizer.lr": {"low": 0.1, "high": 100}}, r"search.over.optimizer.lr has 100.0, which does not fit: .* 10"),
        ({"optimizer.lr": {"low": 0.1, "high": 1, "base": 2}}, "Extra inputs are not permitted"),
        ({"epochs": {"low": 1.5, "high": 3}}, "over.epochs has whole numbers"),
        ({"epochs": {"low": 0, "high": 3}}, "search.over.epochs has 0, which does not fit"),
        ({"architecture.name": ["cnn", "vgg"]}, "has 'vgg', which does not fit: .*name mlp, cnn, airbench or resnet18"),
        ({"architecture.width": [1, 3]}, "has 3, which does not fit: Input should be 1, 2 or 4"),
        ({"init_from": ["lite0", "pets"]}, "can have the backbones lite0, lite1, lite2, not 'pets'"),
        (
            {"architecture.width": [1, 2], "init_from": ["lite0", "lite1"]},
            "architecture is for training from scratch; leave out method and init_from, or architecture",
        ),
        (
            {"architecture.name": ["resnet18", "cnn"], "architecture.width": [3]},
            "search.over.architecture.width has 3, which does not fit: Input should be 1, 2 or 4",
        ),
        (
            {"optimizer.name": ["adam", "sgd"], "optimizer.momentum": [0.9, 5.0]},
            "search.over.optimizer.momentum has 5.0, which does not fit: .*less than",
        ),
        (
            {"method": ["probe", "scratch"], "architecture.name": ["mlp", "cnn"], "architecture.width": [1, 3]},
            "search.over.architecture.width has 3",
        ),
    ],
)
def test_an_unfit_search_is_refused_with_what_to_change(over: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(over)


@pytest.mark.parametrize(
    ("fields", "search", "message"),
    [
        ({}, {"trials": 201}, "less than or equal to 200"),
        ({}, {"trials": 0}, "greater than or equal to 1"),
        ({}, {"minutes": 0}, "greater than 0"),
        ({}, {"objective": "test.accuracy"}, "val.accuracy"),
        ({}, {"try": 3}, "Extra inputs are not permitted"),
        ({"folds": 5}, {}, "search and folds do not go together: choose one"),
        ({"replicas": {"max": 2}}, {}, "search and replicas do not go together: choose one"),
        ({"budget": {"minutes": 5}}, {}, "search and budget do not go together: search.minutes bounds all trials"),
        (
            {"method": "probe"},
            {"over": {"epochs": [5]}},
            "over.epochs has 5, which does not fit: a probe is fitted without",
        ),
    ],
)
def test_what_does_not_fit_a_search_is_refused(fields: dict[str, Any], search: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(**{"fields": fields} | search)


def test_values_that_fit_together_whatever_the_method_are_accepted() -> None:
    over = {
        "method": ["probe", "fine_tune", "scratch"],
        "init_from": ["lite0", "lite1"],
        "architecture.name": ["resnet18", "cnn"],
        "architecture.width": [1, 2],
        "optimizer.name": ["adam", "sgd"],
        "optimizer.momentum": {"low": 0.5, "high": 0.9},
        "epochs": [5, 9],
    }

    with pytest.raises(ValidationError, match="architecture is for training from scratch"):
        spec({name: values for name, values in over.items() if name != "method"})
    assert spec(over).search is not None


def test_a_search_needs_validation_images() -> None:
    counts = DATASET_MANIFEST.counts.model_copy(update={"val": 0})
    manifests = Manifests({"pets@1": DATASET_MANIFEST.model_copy(update={"counts": counts})}, {})

    with pytest.raises(Invalid, match="no validation images, on which the trials of a search are compared"):
        spec().check(manifests)


@pytest.mark.parametrize("wish", [{"search": {"over": {"augment.flip": [True, False]}}}, {"folds": 3}])
def test_an_onnx_backbone_is_neither_searched_nor_folded(wish: dict[str, Any]) -> None:
    backbone = BACKBONE_MANIFEST.model_copy(update={"format": "onnx"})
    counts = DATASET_MANIFEST.counts.model_copy(update={"val": 1})
    dataset = DATASET_MANIFEST.model_copy(update={"counts": counts})
    manifests = Manifests({"pets@1": dataset}, {}, {"mine@1": backbone})

    with pytest.raises(Invalid, match="search and folds cannot train; leave them out"):
        TrainSpec.model_validate({"dataset": "pets@1", "model": "net", "init_from": "mine@1"} | wish).check(manifests)


@pytest.mark.parametrize("folds", [1, 21, 2.5])
def test_folds_are_from_two_to_twenty(folds: float) -> None:
    with pytest.raises(ValidationError):
        TrainSpec.model_validate({"dataset": "pets@1", "model": "net", "folds": folds})
