"""Aliases: names for one version of a model, or for several that share the requests."""

from collections import defaultdict
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from contract.catalog import Alias, Traffic
from contract.errors import NotFound
from contract.references import Reference
from contract.sampling import ReviewSampling
from services.storage.catalog.versions import MODELS, find_version, manifest_of
from services.storage.people.sampling import sampling_of, settings_of
from services.storage.tables import alias_weights, aliases, review_sampling


def point(connection: Connection, project: str, model: str, alias: str, traffic: Traffic, now: datetime) -> Alias:
    """Replace the versions that an alias points at; raises NotFound, or BadModel for a rejected version."""
    for version in {*traffic.versions, *filter(None, [traffic.shadow])}:
        manifest_of(find_version(connection, project, MODELS, Reference(name=model, version=version)))
    key = {"project": project, "model": model, "alias": alias}
    values = {"shadow": traffic.shadow, "updated_at": now}
    # Change this row first: its lock makes simultaneous changes of the same alias wait.
    if not connection.execute(update(aliases).where(*_named(project, model, alias)).values(values)).rowcount:
        connection.execute(insert(aliases).values(key | values))
    of_alias = (alias_weights.c[column] == value for column, value in key.items())
    connection.execute(delete(alias_weights).where(*of_alias))
    shares = [key | {"version": version, "weight": weight} for version, weight in traffic.versions.items()]
    connection.execute(insert(alias_weights), shares)
    sampled = sampling_of(connection, project, model, alias)
    return _alias(alias, traffic, now, None if sampled is None else settings_of(sampled))


def remove(connection: Connection, project: str, model: str, alias: str) -> None:
    """Delete an alias; raises NotFound."""
    if not connection.execute(delete(aliases).where(*_named(project, model, alias))).rowcount:
        raise NotFound(f"the model {model} has no alias {alias}")


def aliases_of(connection: Connection, project: str, model: str) -> tuple[Alias, ...]:
    """Return the aliases of a model, sorted by name."""
    weights: dict[str, dict[int, int]] = defaultdict(dict)
    query = select(alias_weights).where(alias_weights.c.project == project, alias_weights.c.model == model)
    for share in connection.execute(query.order_by(alias_weights.c.version)):
        weights[share.alias][share.version] = share.weight
    sampling = select(review_sampling).where(review_sampling.c.project == project, review_sampling.c.model == model)
    sampled = {row["alias"]: settings_of(row) for row in connection.execute(sampling).mappings()}
    of_model = (aliases.c.project == project) & (aliases.c.model == model)
    rows = connection.execute(select(aliases).where(of_model).order_by(aliases.c.alias))
    return tuple(
        _alias(
            row.alias,
            Traffic(versions=weights[row.alias], shadow=row.shadow),
            row.updated_at,
            sampled.get(row.alias),
        )
        for row in rows
    )


def points_at(alias: Alias, version: int) -> bool:
    """Return whether a version gets requests of an alias, or copies of them as its shadow."""
    return version in alias.versions or version == alias.shadow


def _named(project: str, model: str, alias: str) -> tuple[ColumnElement[bool], ...]:
    return aliases.c.project == project, aliases.c.model == model, aliases.c.alias == alias


def _alias(alias: str, traffic: Traffic, now: datetime, review: ReviewSampling | None) -> Alias:
    return Alias(
        alias=alias,
        version=traffic.main,
        versions=traffic.versions,
        shadow=traffic.shadow,
        updated_at=now,
        review=review,
    )
