"""The Idempotency-Key header of creating requests."""

import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from contract.errors import Malformed
from services.gateway.dependencies import CallerDep
from services.storage.jobs.idempotency import IdempotencyKey

MAX_LENGTH = 255


@dataclass(frozen=True)
class Repeatable:
    """Identifies repetitions of a creating request; `key` is None if it has no Idempotency-Key."""

    owner: str
    key: str | None
    path: str
    project: str

    def once(self, *content: str) -> IdempotencyKey | None:
        """Return the key with a digest of the request's path and `content`; None without a key."""
        if self.key is None:
            return None
        digest = hashlib.sha256("\0".join((self.path, *content)).encode()).hexdigest()
        return IdempotencyKey(self.owner, self.key, digest, self.project)


async def repeatable(
    request: Request,
    caller: CallerDep,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="The same key and the same request within 24 h get the first answer again.",
            json_schema_extra={"minLength": 1, "maxLength": MAX_LENGTH},
        ),
    ] = None,
) -> Repeatable:
    """Return what identifies the request; raises Malformed if the key is empty or too long."""
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= MAX_LENGTH:
        raise Malformed(f"Idempotency-Key must have 1 to {MAX_LENGTH} characters")
    return Repeatable(caller.key_id, idempotency_key, request.url.path, caller.project)


CanRepeat = Annotated[Repeatable, Depends(repeatable)]
