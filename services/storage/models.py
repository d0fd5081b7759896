"""Models and their aliases: the versions that training jobs published."""

from datetime import datetime

from sqlalchemy import Connection, delete, select, update

from contract.base import Frozen
from contract.catalog import Alias, Model, ModelVersion
from contract.errors import Conflict, Invalid, NotFound
from contract.jobs import LIVE, JobKind
from contract.references import Reference
from contract.training import ModelManifest
from services.storage.session import Database
from services.storage.tables import aliases, jobs, model_versions, models
from services.storage.versions import MODELS, add_version, find_version, names_of, versions_of


class ModelPage(Frozen):
    items: tuple[Model, ...]
    next: str | None


def register_model(connection: Connection, name: str, manifest: ModelManifest, job_id: str, now: datetime) -> Reference:
    """Publish the next version of a model, inside the transaction that finishes its job."""
    values = {"job_id": job_id, "dataset": manifest.dataset, "manifest": manifest.model_dump(mode="json")}
    return add_version(connection, MODELS, name, now, **values)


class Models:
    """Reads of the published models, their removal, and the aliases that point at them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def manifest(self, reference: Reference) -> tuple[Reference, ModelManifest]:
        """The pinned reference and the manifest that a reference means; raises NotFound."""
        with self._database.read() as connection:
            row = find_version(connection, MODELS, reference)
        return Reference(name=row["name"], version=row["version"]), ModelManifest.model_validate(row["manifest"])

    def get(self, reference: Reference) -> ModelVersion:
        """Raises NotFound."""
        with self._database.read() as connection:
            row = find_version(connection, MODELS, reference)
            pointing = _aliases(connection, row["name"])
        manifest = ModelManifest.model_validate(row["manifest"])
        shared = set(ModelVersion.model_fields) & set(ModelManifest.model_fields)
        return ModelVersion(
            name=row["name"],
            version=row["version"],
            job=row["job_id"],
            created_at=row["created_at"],
            aliases=tuple(alias.alias for alias in pointing if alias.version == row["version"]),
            trained_on=manifest.device,
            provider=row["provider"],
            **{field: getattr(manifest, field) for field in shared},
        )

    def list(self, limit: int, cursor: str | None = None) -> ModelPage:
        """Models that have versions, by name."""
        with self._database.read() as connection:
            names, following = names_of(connection, MODELS, limit, cursor)
            items = tuple(_model(connection, name) for name in names)
        return ModelPage(items=items, next=following)

    def named(self, name: str) -> Model:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _model(connection, name)

    def delete(self, reference: Reference) -> None:
        """Raises NotFound, or Conflict while an alias points at it or a batch prediction uses it."""
        with self._database.write() as connection:
            row = find_version(connection, MODELS, reference)
            pointing = [a.alias for a in _aliases(connection, row["name"]) if a.version == row["version"]]
            if pointing:
                raise Conflict(f"the alias {pointing[0]!r} points at {reference}; move or delete it first")
            predicts = (jobs.c.kind == JobKind.PREDICT) & jobs.c.state.in_(LIVE) & jobs.c.parent_id.is_(None)
            used = select(jobs.c.spec).where(predicts, jobs.c.model == reference.name)
            pinned = str(Reference(name=row["name"], version=row["version"]))
            if any(spec["model"] == pinned for spec in connection.execute(used).scalars()):
                raise Conflict(f"a batch prediction uses {pinned}; cancel it or wait")
            connection.execute(
                delete(model_versions).where(
                    model_versions.c.name == row["name"], model_versions.c.version == row["version"]
                )
            )

    def set_alias(self, model: str, alias: str, version: int) -> Alias:
        """Point an alias at a version, atomically; raises NotFound, or Invalid for an alias that reads as a version."""
        if alias.isdecimal():
            raise Invalid(f"{model}@{alias} means a version; give the alias a letter")
        now = self._database.now()
        with self._database.write() as connection:
            find_version(connection, MODELS, Reference(name=model, version=version))
            mine = (aliases.c.model == model) & (aliases.c.alias == alias)
            values = {"version": version, "updated_at": now}
            if not connection.execute(update(aliases).where(mine).values(values)).rowcount:
                connection.execute(aliases.insert().values(model=model, alias=alias, **values))
        return Alias(alias=alias, version=version, updated_at=now)

    def delete_alias(self, model: str, alias: str) -> None:
        """Raises NotFound."""
        with self._database.write() as connection:
            mine = (aliases.c.model == model) & (aliases.c.alias == alias)
            if not connection.execute(delete(aliases).where(mine)).rowcount:
                raise NotFound(f"the model {model} has no alias {alias}")

    def note_provider(self, model: str, version: int, provider: str) -> None:
        """Remember which execution provider a replica loaded a version with."""
        table = model_versions
        with self._database.write() as connection:
            connection.execute(
                update(table).where(table.c.name == model, table.c.version == version).values(provider=provider)
            )


def _model(connection: Connection, name: str) -> Model:
    created_at = connection.execute(select(models.c.created_at).where(models.c.name == name)).scalar_one_or_none()
    versions = versions_of(connection, MODELS, name)
    if created_at is None or not versions:
        raise NotFound(f"there is no model {name}")
    return Model(name=name, versions=versions, aliases=_aliases(connection, name), created_at=created_at)


def _aliases(connection: Connection, model: str) -> tuple[Alias, ...]:
    query = select(aliases.c.alias, aliases.c.version, aliases.c.updated_at).where(aliases.c.model == model)
    found = connection.execute(query.order_by(aliases.c.alias)).mappings()
    return tuple(Alias.model_validate(dict(row)) for row in found)
