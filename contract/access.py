"""API keys with their roles and scopes, and the caller that a request was authenticated as."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from contract.base import Frozen, Moment, Name
from contract.origins import Origin
from contract.projects import Quotas

DEFAULT_PROJECT = "default"


class Scope(StrEnum):
    READ = "read"  # see datasets, jobs and models
    WRITE = "write"  # upload, train, promote, delete
    PREDICT = "predict"
    REVIEW = "review"  # see the images of the review queue, and answer
    MANAGE = "manage"  # the keys of a project, and its audit trail
    ADMIN = "admin"  # everything, in all projects, and what belongs to the instance, such as pools


class Role(StrEnum):
    """A named set of scopes."""

    VIEWER = "viewer"
    LABELLER = "labeller"
    MEMBER = "member"
    ADMIN = "admin"
    INSTANCE_ADMIN = "instance-admin"


SCOPES_OF: Mapping[Role, frozenset[Scope]] = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.LABELLER: frozenset({Scope.REVIEW}),
    Role.MEMBER: frozenset({Scope.READ, Scope.PREDICT, Scope.REVIEW, Scope.WRITE}),
    Role.ADMIN: frozenset(Scope) - {Scope.ADMIN},
    Role.INSTANCE_ADMIN: frozenset(Scope),
}


class NewKeyRequest(Frozen):
    """A key with either a role or explicit scopes."""

    name: Name
    role: Role | None = None
    scopes: Annotated[frozenset[Scope], Field(min_length=1, json_schema_extra={"uniqueItems": False})] = Field(
        default_factory=frozenset
    )
    expires_at: Moment | None = Field(default=None, description="At most ten years from now; never if left out.")
    origins: Annotated[tuple[Origin, ...], Field(max_length=20)] = Field(
        default=(),
        description="Pages of these origins may use the key, and no others: `https://app.example.com`. Programs that "
        "send no header Origin may use it, too.",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.role is None) is not bool(self.scopes):
            raise ValueError("give either `role` or `scopes`")
        return self


class ApiKey(Frozen):
    id: str
    project: Name = DEFAULT_PROJECT
    name: Name
    role: Role | None = None
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = Field(default=None, description="To the minute; null if never.")
    origins: tuple[str, ...] = Field(default=(), description="Origins whose pages may use it; all if empty.")

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


class NewApiKey(ApiKey):
    secret: str = Field(description="Shown once; send it as `Authorization: Bearer <secret>`.")


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated client; its scopes are those of its key, and its project is that of its key or a named one.

    `quotas` are those of the project, None if it has none.
    """

    key: ApiKey
    project: str
    quotas: Quotas | None = None

    @property
    def key_id(self) -> str:
        return self.key.id

    @property
    def scopes(self) -> tuple[Scope, ...]:
        return self.key.scopes

    def allows(self, scope: Scope) -> bool:
        """Whether the caller has the scope; an admin has every scope."""
        return self.key.allows(scope)

    def lacks(self, scopes: Iterable[Scope]) -> list[Scope]:
        """Return those of the scopes that the caller does not have."""
        return sorted(scope for scope in scopes if not self.allows(scope))
