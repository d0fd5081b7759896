"""API keys: stored as hashes, compared in constant time, shown once."""

import base64
import hashlib
import hmac
import re
import secrets

from sqlalchemy import delete, insert, select

from contract.access import ApiKey, NewApiKey, Scope
from contract.errors import Conflict, NotFound, Unauthenticated
from services.storage.database import Database
from services.storage.jobs.idempotency import IdempotencyKey, first_answer, remember
from services.storage.tables import api_keys

_TOKEN = re.compile(r"tp_(?P<id>[0-9a-f]{8})_[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """Return a new secret of 256 random bits, prefixed with the id of its row."""
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    return f"tp_{secrets.token_hex(4)}_{secret}"


def _digest(token: str) -> str:
    # One SHA-256 is enough: slow hashes protect passwords that people choose; this is 256 random bits.
    return hashlib.sha256(token.encode()).hexdigest()


class Keys:
    """The api_keys table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, scopes: frozenset[Scope], token: str | None = None, once: IdempotencyKey | None = None
    ) -> NewApiKey:
        """Create a key, or store the hash of `token`; only the returned value has the secret.

        Raises Conflict if `once` was used before, since the secret was not stored and cannot be shown again.
        """
        token = token or new_token()
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise Unauthenticated("an API key has the form tp_<8 hex digits>_<43 characters>")
        now = self._database.now()
        with self._database.write() as connection:
            if earlier := first_answer(connection, once):
                raise Conflict(f"the key {earlier['id']} was made and its secret shown; delete it and make a new one")
            remember(connection, once, {"id": match["id"]}, self._database)
            connection.execute(
                insert(api_keys).values(
                    id=match["id"], name=name, digest=_digest(token), scopes=sorted(scopes), created_at=now
                )
            )
        return NewApiKey(id=match["id"], name=name, scopes=tuple(sorted(scopes)), created_at=now, secret=token)

    def authenticate(self, token: str) -> ApiKey:
        """Return the key that a token belongs to; raises Unauthenticated."""
        match = _TOKEN.fullmatch(token)
        row = None
        if match is not None:
            with self._database.read() as connection:
                query = select(api_keys).where(api_keys.c.id == match["id"])
                row = connection.execute(query).mappings().one_or_none()
        stored = row["digest"] if row is not None else "0" * 64
        if not hmac.compare_digest(stored, _digest(token)) or row is None:
            raise Unauthenticated("the API key is not valid")
        return ApiKey.model_validate({field: row[field] for field in ApiKey.model_fields})

    def list(self) -> tuple[ApiKey, ...]:
        """Return all keys, oldest first."""
        with self._database.read() as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)).mappings()
            return tuple(ApiKey.model_validate({f: row[f] for f in ApiKey.model_fields}) for row in rows)

    def delete(self, key_id: str) -> None:
        """Delete a key; raises NotFound."""
        with self._database.write() as connection:
            if not connection.execute(delete(api_keys).where(api_keys.c.id == key_id)).rowcount:
                raise NotFound("there is no such key")

    def ensure_admin(self, token: str) -> None:
        """Store the first admin key unless it exists."""
        try:
            self.authenticate(token)
        except Unauthenticated:
            self.create("admin", frozenset(Scope), token)
