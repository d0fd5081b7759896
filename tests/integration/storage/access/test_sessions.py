"""Browser sessions and sign-in links, and how they end."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from contract.access import DEFAULT_PROJECT, Role
from contract.errors import Conflict, NotFound, Unauthenticated
from contract.projects import NewProjectRequest, ProjectChange, Quotas
from services.storage.access.keys import Keys
from services.storage.access.projects import Projects
from services.storage.access.sessions import LINK_LASTS, MOST, PREFIX, SESSION_LASTS, Sessions
from services.storage.database import Database
from services.storage.memory_objects import MemoryObjects
from services.storage.sweep.purge import Purger
from services.storage.tables import sessions as table
from tests.integration.storage.steps import together
from tests.support.clock import FakeClock

SECOND = timedelta(seconds=1)


@pytest.fixture
def sessions(database: Database) -> Sessions:
    return Sessions(database)


@pytest.fixture
def projects(database: Database) -> Projects:
    return Projects(database)


@pytest.fixture
def key_id(keys: Keys) -> str:
    return keys.create("laptop", Role.INSTANCE_ADMIN).id


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def ended(sessions: Sessions, token: str) -> bool:
    try:
        sessions.find(token)
    except Unauthenticated:
        return True
    return False


def test_a_session_stands_for_its_key(sessions: Sessions, keys: Keys, projects: Projects, database: Database) -> None:
    projects.create(NewProjectRequest(name="lab"))
    projects.change("lab", ProjectChange(quotas=Quotas(live_jobs=3)))
    key = Keys(database, "lab").create("ann", Role.VIEWER)

    caller = sessions.find(sessions.create(key.id))

    assert caller == Keys(database, "lab").caller(key.secret)
    assert (caller.project, caller.quotas) == ("lab", Quotas(live_jobs=3))


@pytest.mark.parametrize("token", ["", PREFIX, "x\0y", "ü" * 5000, PREFIX + "A" * 43])
def test_other_tokens_are_no_sessions(sessions: Sessions, key_id: str, token: str) -> None:
    sessions.create(key_id)

    with pytest.raises(Unauthenticated):
        sessions.find(token)
    with pytest.raises(Unauthenticated):
        sessions.redeem(token)
    sessions.end(token)
    sessions.choose(token, DEFAULT_PROJECT)


def test_no_row_has_the_token(sessions: Sessions, key_id: str, database: Database) -> None:
    tokens = [sessions.create(key_id), sessions.create_link(key_id)]

    with database.read() as connection:
        rows = str(connection.execute(select(table)).all())

    assert all(token.removeprefix(PREFIX) not in rows for token in tokens)


def test_a_session_ends_when_the_person_signs_out(sessions: Sessions, key_id: str) -> None:
    first, second = sessions.create(key_id), sessions.create(key_id)

    sessions.end(first)

    assert (ended(sessions, first), ended(sessions, second)) == (True, False)


def test_a_session_ends_after_a_week_and_its_row_goes(
    sessions: Sessions, key_id: str, database: Database, clock: FakeClock
) -> None:
    token = sessions.create(key_id)
    clock.tick((SESSION_LASTS - SECOND).total_seconds())
    assert not ended(sessions, token)

    clock.tick(1)

    assert ended(sessions, token)
    sessions.create(key_id)
    assert count(database) == 1


def test_a_session_ends_with_its_key(
    sessions: Sessions, keys: Keys, key_id: str, database: Database, clock: FakeClock
) -> None:
    other = keys.create("other", Role.VIEWER, expires_at=clock.now + timedelta(hours=1)).id
    revoked, expired = sessions.create(key_id), sessions.create(other)
    links = [sessions.create_link(key_id), sessions.create_link(other)]

    keys.delete(key_id)
    assert (ended(sessions, revoked), ended(sessions, expired)) == (True, False)
    assert count(database) == 2
    with pytest.raises(Unauthenticated):
        sessions.redeem(links[0])

    clock.tick(3600)
    with pytest.raises(Unauthenticated, match="the API key of this session has expired"):
        sessions.find(expired)


def test_a_key_that_is_gone_gets_no_session(sessions: Sessions, keys: Keys, key_id: str, database: Database) -> None:
    keys.delete(key_id)

    for create in (sessions.create, sessions.create_link):
        with pytest.raises(Conflict):
            create(key_id)
    assert count(database) == 0


def test_a_link_signs_in_once(sessions: Sessions, key_id: str) -> None:
    link = sessions.create_link(key_id)
    with pytest.raises(Unauthenticated):
        sessions.find(link)

    def redeem(_: int) -> str:
        try:
            return sessions.redeem(link)
        except Unauthenticated:
            return ""

    (token,) = filter(None, together(4, redeem))
    assert sessions.find(token).key_id == key_id
    with pytest.raises(Unauthenticated):
        sessions.redeem(token)


def test_a_link_lasts_for_a_quarter_of_an_hour(sessions: Sessions, key_id: str, clock: FakeClock) -> None:
    first, second = sessions.create_link(key_id), sessions.create_link(key_id)
    clock.tick((LINK_LASTS - SECOND).total_seconds())
    sessions.redeem(first)

    clock.tick(1)

    with pytest.raises(Unauthenticated):
        sessions.redeem(second)


def test_the_oldest_session_of_a_key_ends_for_a_new_one(
    sessions: Sessions, keys: Keys, key_id: str, database: Database, clock: FakeClock
) -> None:
    of_other = sessions.create(keys.create("other", Role.VIEWER).id)
    tokens = []
    for create in (sessions.create, sessions.create_link) * (MOST // 2):
        clock.tick(1)
        tokens.append(create(key_id))
    assert not ended(sessions, tokens[0])

    clock.tick(1)
    sessions.create(key_id)

    assert [ended(sessions, token) for token in (tokens[0], tokens[2], of_other)] == [True, False, False]
    assert count(database) == MOST + 1


def test_an_admin_works_in_the_project_that_was_chosen(sessions: Sessions, projects: Projects, key_id: str) -> None:
    projects.create(NewProjectRequest(name="lab"))
    projects.change("lab", ProjectChange(quotas=Quotas(live_jobs=1)))
    chosen, other = sessions.create(key_id), sessions.create(key_id)

    sessions.choose(chosen, "lab")

    caller = sessions.find(chosen)
    assert (caller.project, caller.quotas, caller.key.project) == ("lab", Quotas(live_jobs=1), DEFAULT_PROJECT)
    assert sessions.find(other).project == DEFAULT_PROJECT
    for name in ("none", "x" * 1000, ""):
        with pytest.raises(NotFound):
            sessions.choose(chosen, name)
    assert sessions.find(chosen).project == "lab"
    sessions.choose(chosen, DEFAULT_PROJECT)
    assert (sessions.find(chosen).project, sessions.find(chosen).quotas) == (DEFAULT_PROJECT, None)


def test_a_purge_ends_the_sessions_of_the_projects_keys_and_leaves_others(
    sessions: Sessions, projects: Projects, key_id: str, database: Database, clock: FakeClock
) -> None:
    # given a session of the project's own key, and one of an instance admin who works in the project
    projects.create(NewProjectRequest(name="lab"))
    own = Keys(database, "lab").create("ann", Role.MEMBER).id
    tokens = [sessions.create(own), sessions.create_link(own)]
    visiting = sessions.create(key_id)
    sessions.choose(visiting, "lab")

    # when the project is to be deleted
    projects.purge("lab")

    # then its sessions have ended at once, and the admin is back in the key's project
    assert ended(sessions, tokens[0])
    with pytest.raises(Unauthenticated):
        sessions.redeem(tokens[1])
    assert sessions.find(visiting).project == DEFAULT_PROJECT
    with pytest.raises(NotFound):
        sessions.choose(visiting, "lab")

    # and the project can be deleted
    assert Purger(database, MemoryObjects(clock), threading.Event()).work()
    assert sessions.find(visiting).project == DEFAULT_PROJECT
    assert count(database) == 1
    projects.create(NewProjectRequest(name="lab"))


def test_an_empty_project_that_an_admin_has_chosen_can_be_deleted(
    sessions: Sessions, projects: Projects, key_id: str
) -> None:
    projects.create(NewProjectRequest(name="lab"))
    token = sessions.create(key_id)
    sessions.choose(token, "lab")

    projects.delete("lab")

    assert sessions.find(token).project == DEFAULT_PROJECT
