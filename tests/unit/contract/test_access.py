"""What a key allows."""

import pytest

from contract.access import Scope
from tests.examples import API_KEY


@pytest.mark.parametrize("scope", Scope)
def test_a_key_allows_its_own_scopes_and_an_admin_key_all(scope: Scope) -> None:
    mine = API_KEY.model_copy(update={"scopes": (Scope.READ,)})
    admins = API_KEY.model_copy(update={"scopes": (Scope.ADMIN,)})

    assert mine.allows(scope) == (scope == Scope.READ)
    assert admins.allows(scope)
