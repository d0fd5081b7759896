"""Every message of the contract keeps its JSON."""

import pytest

from contract.base import Frozen
from contract.errors import TidepoolError
from tests.contract.golden import FOLDER, goldens, public
from tests.examples import EXAMPLES


@pytest.mark.parametrize("name", sorted(goldens()))
def test_the_json_is_the_golden_one(name: str) -> None:
    assert (FOLDER / name).read_bytes() == goldens()[name].encode()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_the_golden_json_means_the_same_value(example: Frozen) -> None:
    kind = type(example)

    assert kind.model_validate_json((FOLDER / f"{kind.__name__}.json").read_text()) == example


def test_every_type_has_one_example() -> None:
    names = sorted(type(example).__name__ for example in EXAMPLES)

    assert names == [kind.__name__ for kind in public(Frozen)]


def test_no_golden_is_left_of_a_type_that_went() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(goldens())


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in public(TidepoolError)]

    assert len(codes) == len(set(codes))
