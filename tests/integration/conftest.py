"""The real servers of the integration tests, started once per session."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from services.storage.database import Database
from services.storage.migrate import migrate
from services.storage.objects import S3Objects
from services.storage.settings import ObjectsSettings
from tests.support.postgres_tables import MigratedTables, wipe
from tests.support.replicas import Replicas
from tests.support.servers import S3Server, Server, postgres_server, redis_server, s3_server


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder that the postgres user may enter too, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="tidepool-tests-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis(server_folder: Path) -> Iterator[Server]:
    folder = server_folder / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        yield server


@pytest.fixture(scope="session")
def s3(server_folder: Path) -> Iterator[S3Server]:
    folder = server_folder / "s3"
    folder.mkdir()
    with s3_server(folder) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(server_folder: Path) -> Iterator[Server]:
    folder = server_folder / "postgres"
    folder.mkdir()
    with postgres_server(folder) as server:
        yield server


@pytest.fixture
def s3_settings(s3: S3Server) -> ObjectsSettings:
    return ObjectsSettings.model_validate(
        {"endpoint": s3.url, "access_key": s3.access_key, "secret_key": s3.secret_key}
    )


@pytest.fixture
def objects(s3_settings: ObjectsSettings) -> S3Objects:
    store = S3Objects(s3_settings)
    store.make_buckets()
    return store


@pytest.fixture
def boto(s3: S3Server) -> Any:
    """A client of the object store that is not Tidepool's."""
    return boto3.client(
        "s3",
        endpoint_url=s3.url,
        aws_access_key_id=s3.access_key,
        aws_secret_access_key=s3.secret_key,
        region_name="us-east-1",
    )


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database: a SQLite file, or the session's PostgreSQL, unless `migrated_url` prepares it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tidepool.db"
    url: str = request.getfixturevalue("postgres").url
    if "migrated_url" not in request.fixturenames:
        database = Database.connect(url)
        wipe(database)
        database.engine.dispose()
    return url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file; copying it is much faster than migrating again."""
    file = tmp_path_factory.mktemp("migrated") / "tidepool.db"
    database = Database.connect(f"sqlite:///{file}")
    migrate(database)
    database.engine.dispose()
    return file


@pytest.fixture(scope="session")
def migrated_tables() -> MigratedTables:
    return MigratedTables()


@pytest.fixture
def migrated_url(database_url: str, migrated_file: Path, migrated_tables: MigratedTables) -> str:
    """The URL of a migrated database."""
    if database_url.startswith("sqlite"):
        shutil.copyfile(migrated_file, database_url.removeprefix("sqlite:///"))
    else:
        migrated_tables.prepare(database_url)
    return database_url


@pytest.fixture
def replicas(
    migrated_file: Path, objects: S3Objects, redis: Server, s3: S3Server, tmp_path: Path
) -> Iterator[Replicas]:
    """No replicas yet, on an empty SQLite database; wake-up messages are relayed."""
    database = Database.connect(f"sqlite:///{shutil.copyfile(migrated_file, tmp_path / 'tidepool.db')}")
    replicas = Replicas(database, objects, redis, s3, tmp_path)
    with replicas.swept():
        yield replicas
    replicas.stop()
    database.engine.dispose()


@pytest.fixture
def database(migrated_url: str) -> Iterator[Database]:
    """A migrated database."""
    database = Database.connect(migrated_url)
    yield database
    database.engine.dispose()
