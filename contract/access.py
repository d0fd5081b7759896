"""The caller of a request: the API key that authenticated it, and the project that it works in."""

from dataclasses import dataclass

from contract.keys import ApiKey, Scope

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client; its scopes are those of its key."""

    key: ApiKey
    project: str = DEFAULT_PROJECT

    @property
    def key_id(self) -> str:
        return self.key.id

    @property
    def scopes(self) -> tuple[Scope, ...]:
        return self.key.scopes

    def allows(self, scope: Scope) -> bool:
        """Whether the caller has the scope; an admin has every scope."""
        return self.key.allows(scope)
