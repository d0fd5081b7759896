"""Browser sessions: rows that stand for an API key, found by the hash of a token in a cookie."""

import hashlib
import secrets
from datetime import timedelta

from sqlalchemy import ColumnElement, Connection, case, delete, insert, select, update

from contract.access import Caller
from contract.errors import Unauthenticated
from services.storage.access.keys import key_of
from services.storage.access.project_rows import require_project
from services.storage.access.projects import quotas_of
from services.storage.database import Database
from services.storage.tables import api_keys, projects, sessions

PREFIX = "ts_"
SESSION_LASTS = timedelta(days=7)
LINK_LASTS = timedelta(minutes=15)
MOST = 100  # sessions and links of a key; the oldest ends for a new one
ENDED = "the session has ended; sign in again"
USED = "the link was used before or is older than 15 minutes; get a new one, or sign in with an API key"


class Sessions:
    """Signs browsers in with a key or a link, and out.

    A session ends with its key, because its row refers to the key's. A link is a row that cannot be used as a session:
    `redeem` deletes it and creates one. A key has at most MOST of both.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, key_id: str) -> str:
        """Create a session of a key that exists, and delete what has expired; return its token."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires_at <= self._database.now()))
            return self._insert(connection, key_id, SESSION_LASTS, once=False)

    def create_link(self, key_id: str) -> str:
        """Return a token with which a browser can sign in once, within LINK_LASTS."""
        with self._database.write() as connection:
            return self._insert(connection, key_id, LINK_LASTS, once=True)

    def redeem(self, link: str) -> str:
        """Return the token of a new session; raises Unauthenticated if the link was used or has expired."""
        with self._database.write() as connection:
            valid = self._valid(link, once=True)
            key_id = connection.execute(delete(sessions).where(valid).returning(sessions.c.key_id)).scalar_one_or_none()
            if key_id is None:
                raise Unauthenticated(USED)
            return self._insert(connection, key_id, SESSION_LASTS, once=False)

    def find(self, token: str) -> Caller:
        """Return the caller of a session; raises Unauthenticated if it or its key has ended.

        The project is the key's, or the one that an instance's admin chose, while that exists.
        """
        own, chosen = projects.alias(), projects.alias()
        quotas = case((chosen.c.name.is_(None), own.c.quotas), else_=chosen.c.quotas)
        query = (
            select(api_keys, chosen.c.name.label("chosen"), quotas.label("quotas"))
            .select_from(sessions)
            .join(api_keys, api_keys.c.id == sessions.c.key_id)
            .join(own, own.c.name == api_keys.c.project)
            .outerjoin(chosen, (chosen.c.name == sessions.c.project) & chosen.c.purge_job.is_(None))
            .where(self._valid(token, once=False))
        )
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            raise Unauthenticated(ENDED)
        if row["expires_at"] is not None and row["expires_at"] <= self._database.now():
            raise Unauthenticated("the API key of this session has expired; use a new one")
        key = key_of(row)
        return Caller(key, row["chosen"] or key.project, quotas_of(row["quotas"]))

    def choose(self, token: str, project: str) -> None:
        """Let a session of an instance's admin work in a project; raises NotFound if there is none of this name."""
        with self._database.write() as connection:
            require_project(connection, project)
            connection.execute(update(sessions).where(self._valid(token, once=False)).values(project=project))

    def end(self, token: str) -> None:
        """Delete a session; harmless if there is none."""
        with self._database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.digest == _digest(token)))

    def _insert(self, connection: Connection, key_id: str, lasts: timedelta, *, once: bool) -> str:
        of_key = sessions.c.key_id == key_id
        newest = select(sessions.c.digest).where(of_key).order_by(sessions.c.created_at.desc(), sessions.c.digest)
        connection.execute(delete(sessions).where(sessions.c.digest.in_(newest.offset(MOST - 1))))
        token, now = PREFIX + secrets.token_urlsafe(32), self._database.now()
        times = {"created_at": now, "expires_at": now + lasts}
        connection.execute(insert(sessions).values(digest=_digest(token), key_id=key_id, once=once, **times))
        return token

    def _valid(self, token: str, *, once: bool) -> ColumnElement[bool]:
        return (
            (sessions.c.digest == _digest(token))
            & sessions.c.once.is_(once)
            & (sessions.c.expires_at > self._database.now())
        )


def _digest(token: str) -> str:
    # One SHA-256 is enough, as for keys: the token is 256 random bits. The lookup by hash leaks no timing of the token.
    return hashlib.sha256(token.encode()).hexdigest()
