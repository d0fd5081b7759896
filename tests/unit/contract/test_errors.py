"""Errors that travel as data."""

import pytest

from contract.errors import BadArchive, LeaseLost, TidepoolError, WorkerLost, error_of


@pytest.mark.parametrize("error", [BadArchive("broken"), WorkerLost("gone"), LeaseLost("late"), TidepoolError("oops")])
def test_an_error_is_recreated_from_its_code(error: TidepoolError) -> None:
    recreated = error_of(error.code, error.message)

    assert (type(recreated), recreated.message, str(recreated)) == (type(error), error.message, error.message)


def test_an_unknown_code_gives_an_internal_error() -> None:
    assert type(error_of("from_the_future", "?")) is TidepoolError
