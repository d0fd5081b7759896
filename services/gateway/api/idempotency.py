"""The only place that reads Idempotency-Key."""

import hashlib
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from contract.errors import Malformed
from services.gateway.dependencies import Key
from services.storage.jobs.idempotency import IdempotencyKey

LONGEST = 255


@dataclass(frozen=True)
class Repeatable:
    """What a creating request knows of its own repetition."""

    owner: str
    key: str | None
    path: str

    def once(self, *content: str) -> IdempotencyKey | None:
        """The promise that the key makes about a request of this `content`; None without a key."""
        if self.key is None:
            return None
        digest = hashlib.sha256("\0".join((self.path, *content)).encode()).hexdigest()
        return IdempotencyKey(self.owner, self.key, digest)


async def repeatable(
    request: Request,
    key: Key,
    idempotency_key: Annotated[
        str | None,
        Header(
            description="The same key and the same request within 24 h get the first answer again.",
            json_schema_extra={"minLength": 1, "maxLength": LONGEST},
        ),
    ] = None,
) -> Repeatable:
    """Raises Malformed for a key that cannot be one."""
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= LONGEST:
        raise Malformed(f"Idempotency-Key must have 1 to {LONGEST} characters")
    return Repeatable(key.id, idempotency_key, request.url.path)


CanRepeat = Annotated[Repeatable, Depends(repeatable)]
