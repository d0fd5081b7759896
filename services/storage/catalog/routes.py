"""Routes: the versions that get the requests for a model reference, by one read of the catalog."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, select

from contract.access import DEFAULT_PROJECT
from contract.errors import Conflict, NotFound
from contract.references import Reference
from contract.sampling import ReviewSampling
from contract.training import ModelManifest
from services.storage.catalog.versions import MODELS, find_version, manifest_of
from services.storage.people.sampling import sampling_of, settings_of
from services.storage.tables import alias_weights, aliases, model_versions


@dataclass(frozen=True)
class Share:
    """A version with the percentage of the requests that it gets."""

    reference: Reference
    manifest: ModelManifest
    weight: int = 100
    project: str = DEFAULT_PROJECT


@dataclass(frozen=True)
class Route:
    """Each request goes to one of the shares, sorted by weight, largest first; the shadow gets a copy of each.

    Requests are sampled for reviews by `sampling`, which only an alias may have, and since when.
    """

    shares: tuple[Share, ...]
    shadow: Share | None = None
    sampling: ReviewSampling | None = None
    sampling_since: datetime | None = None


def route_of(connection: Connection, project: str, reference: Reference) -> Route:
    """Resolve a reference to a route, without the quarantined versions of an alias.

    Raises NotFound, BadModel for a rejected version, or Conflict if all versions are quarantined.
    """
    if reference.alias is None:
        return Route(_healthy(_share(find_version(connection, project, MODELS, reference))))
    table = model_versions
    weights = alias_weights.c
    of_alias = (weights.project == project) & (weights.model == reference.name) & (weights.alias == reference.alias)
    joined = (table.c.project == weights.project) & (table.c.name == weights.model)
    query = select(table, weights.weight).join(alias_weights, joined & (table.c.version == weights.version))
    query = query.where(of_alias).order_by(weights.weight.desc(), table.c.version.desc())
    shares = connection.execute(query).mappings().all()
    if not shares:
        raise NotFound(f"there is no model {reference}")
    shadowed = (table.c.project == aliases.c.project) & (table.c.name == aliases.c.model)
    query = select(table).join(aliases, shadowed & (table.c.version == aliases.c.shadow))
    named = (aliases.c.model == reference.name) & (aliases.c.alias == reference.alias)
    shadow = connection.execute(query.where(aliases.c.project == project, named)).mappings().one_or_none()
    copied = None if shadow is None else _share(shadow)
    if copied is not None and copied.manifest.quarantined is not None:
        copied = None
    sampling = sampling_of(connection, project, reference.name, reference.alias)
    healthy = _healthy(*(_share(row, row["weight"]) for row in shares))
    if sampling is None:
        return Route(healthy, copied)
    return Route(healthy, copied, settings_of(sampling), sampling["created_at"])


def _healthy(*shares: Share) -> tuple[Share, ...]:
    """Return the shares that are not quarantined; raises Conflict if all are."""
    healthy = tuple(share for share in shares if share.manifest.quarantined is None)
    if not healthy:
        raise quarantined(shares[0].reference, shares[0].manifest.quarantined or "")
    return healthy


def quarantined(reference: Reference, reason: str) -> Conflict:
    """Return the error for a request to a quarantined version."""
    return Conflict(
        f"{reference} is quarantined: {reason}; use another version, or lift the quarantine with DELETE "
        f"/v1/models/{reference.name}/versions/{reference.version}/quarantine"
    )


def _share(row: RowMapping, weight: int = 100) -> Share:
    return Share(Reference(name=row["name"], version=row["version"]), manifest_of(row), weight, row["project"])
