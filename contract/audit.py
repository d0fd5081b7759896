"""The audit trail: a log of changes and of views of original images, each with the key that was used."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from contract.base import Frozen, Positive


class AuditAction(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    PROMOTE = "promote"  # point an alias at other versions
    CANCEL = "cancel"
    DELETE = "delete"
    REVOKE = "revoke"  # a key
    READ = "read"  # an image's original
    VIEW = "view"  # an image in the review queue


class AuditEntry(Frozen):
    id: Positive
    at: datetime
    actor: str = Field(description="The id of the key; `retention` or `pipeline` if one of the project did it.")
    actor_name: str
    action: AuditAction
    subject: str = Field(description="Such as `models/pet-cnn@3`, `models/pet-cnn@production` or `jobs/{id}`.")
    detail: str = Field(description="What else identifies the change, such as the versions of an alias; may be empty.")
    request_id: str


class AuditPage(Frozen):
    """Entries, newest first; `next` is the cursor of the next page."""

    items: tuple[AuditEntry, ...]
    next: str | None
