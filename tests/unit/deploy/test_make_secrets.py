"""The secrets of a Compose deployment: random, made once, each where it is needed."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

from sqlalchemy import make_url

from contract.access import DEFAULT_PROJECT
from messaging.redis_address import SentinelUrl
from messaging.redis_users import PROBE, REDIS_USERS, SERVERS, acl_file, password_hashes, server_lines
from services.storage.access.keys import Keys
from services.storage.access.rights import Service
from services.storage.database import Database
from services.storage.database_url import database_url
from tests.support.deployment import ROOT, compose, script, secrets_made

NEEDED = {
    "init": {
        "TIDEPOOL_ADMIN_KEY",
        "TIDEPOOL_DATABASE_URL",
        "TIDEPOOL_SERVICES_DATABASE_URLS",
        "TIDEPOOL_S3_ACCESS_KEY",
        "TIDEPOOL_S3_SECRET_KEY",
    },
    **{service: {"TIDEPOOL_BROKER_URL", "TIDEPOOL_DATABASE_URL"} for service in get_args(Service)},
    "redis": {"password", "redis.conf", "users.acl"},
    "postgres": {"password"},
    "s3": {"user", "password"},
}


def contents(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}


def test_each_part_gets_what_it_needs(tmp_path: Path) -> None:
    made = secrets_made(tmp_path)

    assert {part: {file.name for file in (made / part).iterdir()} for part in NEEDED} == NEEDED


def test_grafana_gets_a_password_only_where_it_has_a_volume(tmp_path: Path) -> None:
    secrets_made(tmp_path)
    assert not (tmp_path / "grafana").exists()

    (tmp_path / "grafana").mkdir()
    first, second = (script("make-secrets", "grafana-password", TIDEPOOL_SECRETS=tmp_path) for _ in range(2))

    assert len(first.stdout.strip()) == 32
    assert second.stdout == first.stdout == (tmp_path / "grafana" / "password").read_text() + "\n"


def test_the_parts_fit_together(tmp_path: Path) -> None:
    made = contents(secrets_made(tmp_path))

    assert f":{made['postgres/password']}@postgres/" in made["init/TIDEPOOL_DATABASE_URL"]
    assert made["init/TIDEPOOL_S3_ACCESS_KEY"] == made["s3/user"]
    assert made["init/TIDEPOOL_S3_SECRET_KEY"] == made["s3/password"]
    urls = json.loads(made["init/TIDEPOOL_SERVICES_DATABASE_URLS"])
    assert urls == {service: made[f"{service}/TIDEPOOL_DATABASE_URL"] for service in get_args(Service)}
    assert {make_url(url).username for url in urls.values()} == set(get_args(Service))
    assert len({make_url(url).password for url in urls.values()} | {made["postgres/password"]}) == len(urls) + 1


def test_each_service_has_its_own_user_of_redis(tmp_path: Path) -> None:
    made = contents(secrets_made(tmp_path))

    urls = {service: urlsplit(made[f"{service}/TIDEPOOL_BROKER_URL"]) for service in get_args(Service)}
    assert {(url.username, url.hostname, url.path) for url in urls.values()} == {
        (service, "redis", "/0") for service in get_args(Service)
    }
    passwords = {service: str(url.password) for service, url in urls.items()} | {PROBE: made["redis/password"]}
    assert len(set(passwords.values())) == len(REDIS_USERS)
    assert made["redis/users.acl"] == acl_file(password_hashes(passwords))
    assert made["redis/redis.conf"] == "aclfile /secrets/users.acl\n"


def test_a_deployment_with_one_password_for_redis_gets_users(tmp_path: Path) -> None:
    # given the volumes of an older release
    before = contents(secrets_made(tmp_path))
    for service in get_args(Service):
        _write(tmp_path / service / "TIDEPOOL_BROKER_URL", "redis://:shared@redis:6379/0")
    _write(tmp_path / "redis" / "redis.conf", "requirepass shared")
    (tmp_path / "redis" / "users.acl").unlink()

    # when it starts with this release
    after = contents(secrets_made(tmp_path))

    # then only what belongs to Redis has changed
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"redis/users.acl", *(f"{service}/TIDEPOOL_BROKER_URL" for service in get_args(Service))}
    assert "shared" not in "".join(after.values())


def test_a_deployment_moves_to_redundant_servers_and_back(tmp_path: Path) -> None:
    before = contents(secrets_made(tmp_path, "sentinel"))

    overlay = compose("compose.ha.yml")["services"]["secrets"]["environment"]
    during = contents(secrets_made(tmp_path, "sentinel", **overlay))
    after = contents(secrets_made(tmp_path, "sentinel"))

    for service in get_args(Service):
        url = SentinelUrl.parse(during[f"{service}/TIDEPOOL_BROKER_URL"])
        assert url.login["password"] == urlsplit(before[f"{service}/TIDEPOOL_BROKER_URL"]).password
        assert url.hosts == (("sentinel-1", 26379), ("sentinel-2", 26379), ("sentinel-3", 26379))
        database = database_url(during[f"{service}/TIDEPOOL_DATABASE_URL"])
        assert database.query["host"] == ("postgres:5432", "postgres-2:5432", "postgres-3:5432")
        assert database.password == make_url(before[f"{service}/TIDEPOOL_DATABASE_URL"]).password
    urls = json.loads(during["init/TIDEPOOL_SERVICES_DATABASE_URLS"])
    assert urls == {service: during[f"{service}/TIDEPOOL_DATABASE_URL"] for service in get_args(Service)}
    assert after == before


def test_replicas_and_sentinels_have_users_where_they_have_a_volume(tmp_path: Path) -> None:
    alone = contents(secrets_made(tmp_path))

    made = contents(secrets_made(tmp_path, "sentinel"))

    passwords = {"replica": made["redis/replica"], "sentinel": made["sentinel/password"]}
    hashes = {user: hashlib.sha256(password.encode()).hexdigest() for user, password in passwords.items()}
    assert made["redis/users.acl"] == alone["redis/users.acl"] + server_lines(hashes)
    assert made["redis/redis.conf"].endswith(f"masteruser replica\nmasterauth {passwords['replica']}\n")


def test_another_redis_that_somebody_has_set_stays(tmp_path: Path) -> None:
    secrets_made(tmp_path)
    _write(tmp_path / "gateway" / "TIDEPOOL_BROKER_URL", "redis://:password@elsewhere:6379/0")

    assert contents(secrets_made(tmp_path))["gateway/TIDEPOOL_BROKER_URL"] == "redis://:password@elsewhere:6379/0"


def test_the_users_of_redis_in_the_image_are_those_of_the_code() -> None:
    command = [sys.executable, "-m", "messaging.redis_users"]  # docs/kubernetes.md names it
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout

    assert (ROOT / "deploy" / "redis" / "users.acl").read_text() == printed
    assert (ROOT / "deploy" / "redis" / "ha.acl").read_text() == server_lines({user: f"{{{user}}}" for user in SERVERS})


def test_two_deployments_share_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()

    one, two = contents(secrets_made(tmp_path / "one")), contents(secrets_made(tmp_path / "two"))

    assert one.keys() == two.keys()
    assert [name for name in one if one[name] == two[name]] == ["redis/redis.conf"]  # names the file of users
    assert min(len(one[f"{part}/password"]) for part in ("redis", "postgres", "s3")) == 64


def test_what_is_there_stays(tmp_path: Path) -> None:
    before = contents(secrets_made(tmp_path))
    (tmp_path / "s3" / "user").unlink()

    after = contents(secrets_made(tmp_path))

    assert {name for name in before if before[name] != after[name]} == {"s3/user"}


def test_the_admin_key_is_printed_and_is_one(tmp_path: Path) -> None:
    secrets_made(tmp_path)

    printed = script("make-secrets", "admin-key", TIDEPOOL_SECRETS=tmp_path).stdout

    assert printed == (tmp_path / "init" / "TIDEPOOL_ADMIN_KEY").read_text() + "\n"
    database = Database.in_memory()
    Keys(database, DEFAULT_PROJECT).ensure_admin(printed.strip())
    assert Keys(database, DEFAULT_PROJECT).authenticate(printed.strip()).name == "admin"


def test_a_volume_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    assert script("make-secrets", TIDEPOOL_SECRETS=tmp_path).returncode != 0


def _write(file: Path, text: str) -> None:
    file.unlink()  # it is read-only
    file.write_text(text)
