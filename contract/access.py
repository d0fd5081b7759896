"""API keys with their scopes, and the caller that a request was authenticated as."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from contract.base import Frozen, Name

DEFAULT_PROJECT = "default"


class Scope(StrEnum):
    READ = "read"  # see datasets, jobs and models
    WRITE = "write"  # upload, train, promote, delete
    PREDICT = "predict"
    ADMIN = "admin"  # manage keys, and everything else


class NewKeyRequest(Frozen):
    name: Name
    scopes: Annotated[frozenset[Scope], Field(min_length=1, json_schema_extra={"uniqueItems": False})]


class ApiKey(Frozen):
    id: str
    name: Name
    scopes: tuple[Scope, ...]
    created_at: datetime

    def allows(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


class NewApiKey(ApiKey):
    secret: str = Field(description="Shown once; send it as `Authorization: Bearer <secret>`.")


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
