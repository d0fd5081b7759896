"""Images that lie in a bucket already: prefixes of object stores that the operator allows as sources of datasets."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Self

from minio.error import S3Error
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from contract.errors import BadArchive, Conflict, Corrupt, Invalid, NotFound
from contract.kinds.kind import JobSpec
from contract.kinds.preprocess import PreprocessSpec
from contract.references import S3Source
from services.storage.object_errors import mapped_errors
from services.storage.objects import client_of
from services.storage.settings import ObjectsSettings

_CHANGED = "an object of the source has changed since the job began; start the job again"


class SourceStore(BaseModel):
    """An object store that datasets may come from; without endpoint and keys, the one that Tidepool uses.

    `buckets` are names, or names and prefixes: `photos` or `photos/2024`.
    """

    model_config = ConfigDict(extra="forbid")

    endpoint: str | None = Field(default=None, pattern=r"^https?://")
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    region: str = "us-east-1"
    buckets: tuple[str, ...] = Field(min_length=1)

    def allows(self, source: S3Source) -> bool:
        location = f"{source.bucket}/{source.prefix}"
        return any(f"{location}/".startswith(f"{bucket.strip('/')}/") for bucket in self.buckets)


class SourceSettings(BaseSettings):
    """TIDEPOOL_S3_SOURCES: the object stores and buckets that `{"s3": "s3://bucket/prefix"}` may name."""

    model_config = SettingsConfigDict(env_prefix="TIDEPOOL_")

    s3_sources: dict[str, SourceStore] = Field(
        default={},
        description='Buckets that datasets may come from: `{"lab": {"buckets": ["photos"]}}` in the object store of '
        "Tidepool; with `endpoint`, `access_key`, `secret_key` and `region` in another one.",
    )

    def store_of(self, source: S3Source) -> SourceStore:
        """Return the first store that allows a source; raises Invalid."""
        for store in self.s3_sources.values():
            if store.allows(source):
                return store
        raise Invalid(f"{source.s3} is not a source that the operator allows; see the setting TIDEPOOL_S3_SOURCES")


def require_allowed(spec: JobSpec) -> None:
    """Raise Invalid if a spec names a source that the operator does not allow."""
    if isinstance(spec, PreprocessSpec) and isinstance(spec.source, S3Source):
        SourceSettings().store_of(spec.source)


class SourceObject(NamedTuple):
    """An object of a source: its key, size in bytes, and the tag that changes with its content."""

    key: str
    size: int
    etag: str


class SourcePrefix:
    """The objects below a prefix, as below a folder."""

    def __init__(self, source: S3Source, store: SourceStore, own: ObjectsSettings) -> None:
        """`own` is Tidepool's object store."""
        changes = {"region": store.region} if store.endpoint else {}
        keys = {"access_key": store.access_key, "secret_key": store.secret_key}
        settings = own.model_copy(update=changes | {name: key for name, key in keys.items() if key is not None})
        self._client = client_of(settings, store.endpoint or own.endpoint)
        self._bucket = source.bucket
        self.prefix = f"{source.prefix}/" if source.prefix else ""

    @classmethod
    def from_environment(cls, source: S3Source) -> Self:
        """Raise Invalid if the operator does not allow the source."""
        return cls(source, SourceSettings().store_of(source), ObjectsSettings())

    def list(self, most: int) -> tuple[SourceObject, ...]:
        """Return all objects in the order of their keys.

        Raise BadArchive if there are more than `most`, NotFound if there is none, no such bucket, or no
        right to read it.
        """
        objects: list[SourceObject] = []
        with self._mapped_errors():
            if not self._client.bucket_exists(self._bucket):
                raise NotFound(f"the bucket {self._bucket} of the source does not exist")
            for item in self._client.list_objects(self._bucket, self.prefix, recursive=True):
                if item.object_name and not item.is_dir:
                    objects.append(SourceObject(item.object_name, item.size or 0, item.etag or ""))
                if len(objects) > most:
                    raise BadArchive(f"the source has over {most} objects; name a longer prefix")
        if not objects:
            raise NotFound(f"the bucket {self._bucket} has no objects below {self.prefix or 'its root'}")
        return tuple(sorted(objects))

    def read(self, item: SourceObject, most: int | None = None) -> bytes:
        """Return the bytes of an object, or only the first; raises Corrupt if it is not the object that was listed."""
        if item.size == 0:
            return b""
        headers: dict[str, str | list[str] | tuple[str]] = {"If-Match": f'"{item.etag}"'} if item.etag else {}
        length = item.size if most is None else min(most, item.size)
        with self._mapped_errors():
            response = self._client.get_object(self._bucket, item.key, 0, length, request_headers=headers)
            try:
                data = bytes(response.read(decode_content=False))
                etag = (response.headers.get("ETag") or "").strip('"')
            finally:
                response.close()
                response.release_conn()
        if len(data) != length or (item.etag and etag and etag != item.etag):
            raise Corrupt(_CHANGED)
        return data

    def read_original(self, key: str, sha256: str, most: int) -> bytes:
        """Return the bytes of an object of a dataset version, of at most `most` bytes.

        Raise Conflict if it is gone or has another SHA-256 than when the version was prepared.
        """
        with self._mapped_errors():
            try:  # HEAD: not every server answers a GET of a missing object so that the SDK understands it
                stat = self._client.stat_object(self._bucket, key)
            except S3Error as error:
                if error.code != "NoSuchKey":
                    raise
                raise self._conflict(key, "was deleted") from error
        item = SourceObject(key, stat.size or 0, stat.etag or "")
        if item.size > most or hashlib.sha256(data := self.read(item)).hexdigest() != sha256:
            raise self._conflict(key, "was changed")
        return data

    def _conflict(self, key: str, what: str) -> Conflict:
        where = f"s3://{self._bucket}/{key}"
        return Conflict(f"the original {where} {what} after the dataset version was prepared; prepare a new version")

    @contextmanager
    def _mapped_errors(self) -> Iterator[None]:
        with mapped_errors():
            try:
                yield
            except S3Error as error:
                if error.code in {"NoSuchBucket", "AccessDenied"}:
                    raise NotFound(f"the bucket {self._bucket} of the source cannot be read with its key") from error
                if error.code in {"NoSuchKey", "PreconditionFailed"}:
                    raise Corrupt(_CHANGED) from error
                raise
