"""The form of a training: what its fields become in the spec."""

import pytest

from contract.kinds.train import TrainSpec
from services.gateway.console.screens.train import SEARCHES, spec_of

FORM = {"dataset": "pets@1", "model": "pets"}


def test_a_form_without_anything_else_leaves_all_decisions_to_tidepool() -> None:
    assert spec_of(FORM | {"minutes": "", "trials": " "}) == FORM


def test_minutes_are_the_budget_of_a_training_and_bound_a_search() -> None:
    assert spec_of(FORM | {"minutes": "5"})["budget"] == {"minutes": 5}

    searching = spec_of(
        FORM | {"minutes": "5", "trials": "8", "over_lr": "on", "objective": "val.macro_f1", "ensemble": "3"}
    )

    assert "budget" not in searching
    assert searching["search"] == {
        "trials": 8,
        "minutes": 5,
        "objective": "val.macro_f1",
        "ensemble": 3,
        "over": {"optimizer.lr": {"low": 0.0003, "high": 0.3, "log": True}},
    }


@pytest.mark.parametrize(("field", "value"), [("ensemble", "3"), ("objective", "val.loss")])
def test_a_field_of_the_search_without_a_number_of_trials_makes_a_search_with_the_default(
    field: str, value: str
) -> None:
    spec = TrainSpec.model_validate(spec_of(FORM | {field: value, "over_lr": "on"}))

    assert spec.search is not None
    assert (spec.search.trials, str(getattr(spec.search, field))) == (16, value)


@pytest.mark.parametrize("method", ["", "fine_tune", "scratch"])
def test_every_box_of_the_search_makes_a_valid_training_alone_and_with_the_others(method: str) -> None:
    for boxes in (*([box] for box in SEARCHES), list(SEARCHES)):
        spec = TrainSpec.model_validate(spec_of(FORM | {"method": method, "trials": "4"} | dict.fromkeys(boxes, "on")))

        assert spec.search is not None
        assert len(spec.search.over) == len(boxes)


def test_a_search_over_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="over"):
        TrainSpec.model_validate(spec_of(FORM | {"trials": "4"}))
