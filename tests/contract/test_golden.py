"""The JSON of the contract's messages does not change."""

import pytest

from contract.base import Frozen
from contract.errors import TidepoolError
from tests.contract.golden import FOLDER, goldens, public
from tests.examples import EXAMPLES


@pytest.mark.parametrize("name", sorted(goldens()))
def test_the_json_equals_the_golden_file(name: str) -> None:
    assert (FOLDER / name).read_bytes() == goldens()[name].encode()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_the_golden_json_parses_to_the_example(example: Frozen) -> None:
    kind = type(example)

    assert kind.model_validate_json((FOLDER / f"{kind.__name__}.json").read_text()) == example


def test_every_type_has_one_example() -> None:
    names = sorted(type(example).__name__ for example in EXAMPLES)

    assert names == [kind.__name__ for kind in public(Frozen)]


def test_every_golden_file_belongs_to_a_type() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(goldens())


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in public(TidepoolError)]

    assert len(codes) == len(set(codes))
