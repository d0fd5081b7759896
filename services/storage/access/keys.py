"""API keys: stored as hashes, compared in constant time, shown once."""

import base64
import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, bindparam, delete, insert, or_, select, update

from contract.access import SCOPES_OF, ApiKey, Caller, NewApiKey, Role, Scope
from contract.audit import AuditAction
from contract.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from services.storage.access.audit import Actor, record
from services.storage.access.project_rows import require_project
from services.storage.access.projects import quotas_of
from services.storage.database import Database
from services.storage.jobs.idempotency import IdempotencyKey, first_answer, remember
from services.storage.tables import api_keys, projects

LONGEST = timedelta(days=3653)  # ten years
USE_EVERY = timedelta(minutes=1)

_WITH_QUOTAS = (
    select(api_keys, projects.c.quotas)
    .outerjoin(projects, projects.c.name == api_keys.c.project)
    .where(api_keys.c.id == bindparam("key_id"))
)
_TOKEN = re.compile(r"tp_(?P<id>[0-9a-f]{8})_[A-Za-z0-9_-]{43}")


def new_token() -> str:
    """Return a new secret of 256 random bits, prefixed with the id of its row."""
    secret = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    return f"tp_{secrets.token_hex(4)}_{secret}"


def _digest(token: str) -> str:
    # One SHA-256 is enough: slow hashes protect passwords that people choose; this is 256 random bits.
    return hashlib.sha256(token.encode()).hexdigest()


class Keys:
    """The API keys of a project; authentication finds those of any project."""

    def __init__(self, database: Database, project: str, actor: Actor | None = None) -> None:
        self._database = database
        self._project = project
        self._actor = actor

    def create(
        self,
        name: str,
        scopes: frozenset[Scope] | Role,
        token: str | None = None,
        once: IdempotencyKey | None = None,
        expires_at: datetime | None = None,
        origins: tuple[str, ...] = (),
    ) -> NewApiKey:
        """Create a key with scopes or a role, or store the hash of `token`; only the returned value has the secret.

        Raises NotFound if the project is gone, Invalid if `expires_at` has passed or is more than ten years away, and
        Conflict if `once` was used before, since the secret was not stored and cannot be shown again.
        """
        token = token or new_token()
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise Unauthenticated("an API key has the form tp_<8 hex digits>_<43 characters>")
        now = self._database.now()
        if expires_at is not None and not now < expires_at <= now + LONGEST:
            raise Invalid("expires_at must be in the future, and at most ten years from now")
        role = scopes if isinstance(scopes, Role) else None
        values = {
            "id": match["id"],
            "project": self._project,
            "name": name,
            "role": role,
            "scopes": sorted(scopes if role is None else SCOPES_OF[role]),
            "created_at": now,
            "expires_at": expires_at,
            "origins": list(origins) or None,
        }
        with self._database.write() as connection:
            if earlier := first_answer(connection, once):
                raise Conflict(f"the key {earlier['id']} was made and its secret shown; delete it and make a new one")
            require_project(connection, self._project, lock=True)
            remember(connection, once, {"id": match["id"]}, self._database)
            connection.execute(insert(api_keys).values(values | {"digest": _digest(token)}))
            record(connection, self._actor, AuditAction.CREATE, f"keys/{match['id']}", now, name)
        return NewApiKey.model_validate(values | {"secret": token, "origins": origins})

    def authenticate(self, token: str) -> ApiKey:
        """Return the key that a token belongs to; raises Unauthenticated, also for a key that has expired."""
        return self.caller(token).key

    def caller(self, token: str) -> Caller:
        """Like `authenticate`, but return the caller: the key, its project, and the quotas of that."""
        match = _TOKEN.fullmatch(token)
        row = None
        if match is not None:
            with self._database.read() as connection:
                row = connection.execute(_WITH_QUOTAS, {"key_id": match["id"]}).mappings().one_or_none()
        stored = row["digest"] if row is not None else "0" * 64
        if not hmac.compare_digest(stored, _digest(token)) or row is None:
            raise Unauthenticated("the API key is not valid")
        if row["expires_at"] is not None and row["expires_at"] <= self._database.now():
            raise Unauthenticated("the API key has expired; use a new one")
        return Caller(key_of(row), row["project"], quotas_of(row["quotas"]))

    def list(self) -> tuple[ApiKey, ...]:
        """Return all keys, also expired ones, oldest first."""
        with self._database.read() as connection:
            query = select(api_keys).where(api_keys.c.project == self._project)
            rows = connection.execute(query.order_by(api_keys.c.created_at, api_keys.c.id)).mappings()
            return tuple(map(key_of, rows))

    def origins(self) -> frozenset[str]:
        """Return the origins that keys of any project are bound to, without those of expired keys."""
        expires = api_keys.c.expires_at
        current = or_(expires.is_(None), expires > self._database.now())
        query = select(api_keys.c.origins).where(api_keys.c.origins.is_not(None), current)
        with self._database.read() as connection:
            return frozenset(origin for origins in connection.execute(query).scalars() for origin in origins)

    def delete(self, key_id: str, caller: Caller | None = None) -> None:
        """Delete a key; raises NotFound, and Forbidden if it has scopes that the caller lacks."""
        with self._database.write() as connection:
            same_key = (api_keys.c.project == self._project) & (api_keys.c.id == key_id)
            row = connection.execute(delete(api_keys).where(same_key).returning(api_keys)).mappings()
            if (deleted := row.one_or_none()) is None:
                raise NotFound("there is no such key")
            if caller is not None and (lacking := caller.lacks(key_of(deleted).scopes)):
                raise Forbidden(f"this key lacks the scope {lacking[0]!s} of the key to revoke; use one that has it")
            now, name = self._database.now(), deleted["name"]
            record(connection, self._actor, AuditAction.REVOKE, f"keys/{key_id}", now, name)

    def note_use(self, key_id: str) -> None:
        """Record that a key is in use now, unless the last record is less than a minute old."""
        now, last = self._database.now(), api_keys.c.last_used_at
        due = or_(last.is_(None), last <= now - USE_EVERY)
        with self._database.write() as connection:
            connection.execute(update(api_keys).where(api_keys.c.id == key_id, due).values(last_used_at=now))

    def ensure_admin(self, token: str) -> None:
        """Store the first admin key unless it exists."""
        try:
            self.authenticate(token)
        except Unauthenticated:
            self.create("admin", frozenset(Scope), token)


def key_of(row: RowMapping) -> ApiKey:
    """Return a key; a role has the scopes that this release gives it."""
    scopes = row["scopes"] if row["role"] is None else sorted(SCOPES_OF[Role(row["role"])])
    values = {field: row[field] for field in ApiKey.model_fields}
    return ApiKey.model_validate(values | {"scopes": scopes, "origins": row["origins"] or ()})
