"""The scopes that a key allows."""

import pytest

from contract.access import Scope
from tests.examples import API_KEY


@pytest.mark.parametrize("scope", Scope)
def test_a_key_allows_its_scopes_and_an_admin_key_allows_all(scope: Scope) -> None:
    reader = API_KEY.model_copy(update={"scopes": (Scope.READ,)})
    admin = API_KEY.model_copy(update={"scopes": (Scope.ADMIN,)})

    assert reader.allows(scope) == (scope == Scope.READ)
    assert admin.allows(scope)
