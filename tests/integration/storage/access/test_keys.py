"""API keys: creation, authentication, storage."""

import base64
import string
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from contract.access import DEFAULT_PROJECT, SCOPES_OF, ApiKey, Caller, Role, Scope
from contract.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from contract.projects import NewProjectRequest
from services.storage.access.keys import Keys, new_token
from services.storage.access.projects import Projects
from services.storage.database import Database
from services.storage.tables import api_keys
from tests.examples import WHEN
from tests.support.clock import FakeClock

READ = frozenset({Scope.READ})
NO_TOKENS = [
    "",
    "tp_",
    "tp_0123abcd_" + "A" * 42,
    "tp_0123abcd_" + "A" * 44,
    "tp_0123ABCD_" + "A" * 43,
    "tp_0123abcd_" + "A" * 43 + "\n",
    "tp_0123abcd_" + "ä" * 43,
    "Bearer tp_0123abcd_" + "A" * 43,
    "tp_0123abcd_" + "A" * 43,
    "\x00",
]


def test_a_key_is_authenticated_by_its_secret(keys: Keys) -> None:
    made = keys.create("laptop", frozenset({Scope.READ, Scope.PREDICT}))

    key = keys.authenticate(made.secret)

    assert key == ApiKey(id=made.id, name="laptop", scopes=(Scope.PREDICT, Scope.READ), created_at=WHEN)


def test_no_table_contains_the_secret(keys: Keys, database: Database) -> None:
    made = keys.create("laptop", READ)

    with database.read() as connection:
        (row,) = connection.execute(select(api_keys)).all()

    secret = made.secret.removeprefix(f"tp_{made.id}_")
    raw = base64.urlsafe_b64decode(secret + "=")
    for hidden in (secret, raw.hex(), base64.b64encode(raw).decode()):
        assert hidden not in str(row)
    assert secret not in str(keys.list())


def test_every_secret_is_new() -> None:
    tokens = {new_token() for _ in range(100)}

    assert len(tokens) == 100
    assert all(set(token) <= set(string.ascii_letters + string.digits + "-_") for token in tokens)


def test_an_unknown_token_is_rejected(keys: Keys) -> None:
    keys.create("laptop", READ)

    for token in NO_TOKENS:
        with pytest.raises(Unauthenticated, match="the API key is not valid"):
            keys.authenticate(token)


def test_a_wrong_secret_and_an_unknown_key_get_the_same_error(keys: Keys) -> None:
    made = keys.create("laptop", READ)
    wrong = made.secret[:-1] + ("B" if made.secret[-1] == "A" else "A")
    unknown = new_token()

    complaints = set()
    for token in (wrong, unknown):
        with pytest.raises(Unauthenticated) as caught:
            keys.authenticate(token)
        complaints.add(caught.value.message)

    assert len(complaints) == 1


def test_a_deleted_key_is_rejected_at_once(keys: Keys) -> None:
    made = keys.create("laptop", READ)

    keys.delete(made.id)

    with pytest.raises(Unauthenticated):
        keys.authenticate(made.secret)
    with pytest.raises(NotFound):
        keys.delete(made.id)


def test_keys_are_listed_oldest_first(keys: Keys, clock: FakeClock) -> None:
    made = []
    for name in ("c", "a", "b"):
        made.append(keys.create(name, READ))
        clock.tick(1)

    assert [key.id for key in keys.list()] == [key.id for key in made]


def test_the_first_admin_key_is_stored_once(keys: Keys) -> None:
    token = new_token()

    for _ in range(2):
        keys.ensure_admin(token)

    (key,) = keys.list()
    assert key == keys.authenticate(token)
    assert (key.name, set(key.scopes)) == ("admin", set(Scope))


def test_a_malformed_admin_key_is_rejected(keys: Keys) -> None:
    with pytest.raises(Unauthenticated, match="has the form"):
        keys.ensure_admin("password")

    assert keys.list() == ()


def test_an_id_belongs_to_one_key(keys: Keys) -> None:
    made = keys.create("laptop", READ)

    with pytest.raises(Conflict):
        keys.create("thief", frozenset(Scope), f"tp_{made.id}_" + "A" * 43)

    assert keys.authenticate(made.secret).name == "laptop"


@pytest.mark.parametrize("role", Role)
def test_a_role_has_its_scopes(keys: Keys, role: Role) -> None:
    made = keys.create("laptop", role)

    key = keys.authenticate(made.secret)

    assert (key.role, key.scopes) == (role, tuple(sorted(SCOPES_OF[role])))
    assert all(key.allows(scope) == (scope in SCOPES_OF[role]) for scope in Scope)


def test_a_role_gains_the_scopes_that_a_later_release_gives_it(keys: Keys, database: Database) -> None:
    made = keys.create("laptop", Role.LABELLER)
    with database.write() as connection:
        connection.execute(update(api_keys).values(scopes=["read"]))  # as an earlier release stored them

    assert keys.authenticate(made.secret).scopes == (Scope.REVIEW,)


def test_a_key_is_valid_until_it_expires(keys: Keys, clock: FakeClock) -> None:
    made = keys.create("laptop", READ, expires_at=WHEN + timedelta(seconds=10))

    clock.tick(9)
    assert keys.authenticate(made.secret).expires_at == WHEN + timedelta(seconds=10)
    clock.tick(1)
    with pytest.raises(Unauthenticated, match="has expired"):
        keys.authenticate(made.secret)

    # it is still listed, and a wrong secret does not learn that it has expired
    assert [key.id for key in keys.list()] == [made.id]
    with pytest.raises(Unauthenticated, match="is not valid"):
        keys.authenticate(f"tp_{made.id}_" + "A" * 43)


@pytest.mark.parametrize("days", [0, -1, 3654, 2_900_000])
def test_a_key_must_expire_in_the_next_ten_years(keys: Keys, days: int) -> None:
    with pytest.raises(Invalid, match="in the future, and at most ten years"):
        keys.create("laptop", READ, expires_at=WHEN + timedelta(days=days))

    assert keys.list() == ()


def test_the_use_of_a_key_is_recorded_once_a_minute(keys: Keys, clock: FakeClock) -> None:
    made = keys.create("laptop", READ)
    assert made.last_used_at is None

    times = []
    for seconds in (0, 59, 1):
        clock.tick(seconds)
        keys.note_use(made.id)
        times.append(keys.list()[0].last_used_at)

    assert times == [WHEN, WHEN, WHEN + timedelta(seconds=60)]


def test_a_key_is_not_revoked_by_one_with_less_rights(keys: Keys) -> None:
    instance_admin, admin = keys.create("root", Role.INSTANCE_ADMIN), keys.create("lead", Role.ADMIN)

    with pytest.raises(Forbidden, match="lacks the scope admin"):
        keys.delete(instance_admin.id, Caller(keys.authenticate(admin.secret), DEFAULT_PROJECT))

    assert keys.authenticate(instance_admin.secret).name == "root"
    keys.delete(admin.id, Caller(keys.authenticate(instance_admin.secret), DEFAULT_PROJECT))
    assert [key.name for key in keys.list()] == ["root"]


def test_the_origins_of_keys_are_those_of_all_projects_without_expired_keys(database: Database, keys: Keys) -> None:
    keys.create("page", READ, origins=("https://a.example", "https://b.example"))
    keys.create("program", READ)
    keys.create("short", READ, origins=("https://c.example",), expires_at=database.now() + timedelta(seconds=5))
    Projects(database).create(NewProjectRequest(name="lab"))
    other = Keys(database, "lab").create("page", READ, origins=("https://b.example", "https://d.example"))
    assert keys.origins() == {f"https://{name}.example" for name in "abcd"}

    Keys(database, "lab").delete(other.id)
    with database.write() as connection:
        expired = update(api_keys).where(api_keys.c.name == "short")
        connection.execute(expired.values(expires_at=database.now() - timedelta(seconds=1)))

    assert keys.origins() == {"https://a.example", "https://b.example"}
    assert [key.origins for key in keys.list() if key.name == "program"] == [()]
