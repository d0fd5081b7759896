"""One name means a model or a backbone, never both, since `init_from` takes either."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from contract.backbones import BUILT_IN
from contract.errors import Conflict
from contract.jobs import LIVE
from services.storage.catalog.versions import BACKBONES, MODELS, Family
from services.storage.tables import in_state, jobs

PUBLISHES: Mapping[str, Family] = {"train": MODELS, "vet": MODELS, "backbone": BACKBONES}


def require_own_name(connection: Connection, project: str, kind: str, name: str | None) -> None:
    """Raise Conflict if a job of this kind would publish a model with the name of a backbone, or the reverse.

    The name may also be that of a job that has not ended. A model that has the name of a newer built-in backbone keeps
    it. On PostgreSQL simultaneous transactions do not see each other's jobs, so publication checks again.
    """
    family = PUBLISHES.get(kind)
    if family is None or name is None:
        return
    if name in BUILT_IN and not (family is MODELS and _published(connection, project, MODELS, name)):
        raise Conflict(f"{name} is a backbone that comes with Tidepool; choose another name")
    other = BACKBONES if family is MODELS else MODELS
    kinds = [kind for kind, published in PUBLISHES.items() if published is other]
    live = select(jobs.c.id).where(in_state(jobs, *LIVE), jobs.c.parent_id.is_(None))
    named = live.where(jobs.c.project == project, jobs.c.model == name, jobs.c.kind.in_(kinds)).limit(1)
    if _published(connection, project, other, name) or connection.execute(named).first():
        raise Conflict(f"{name} is a {other.noun}, and init_from takes either; choose another name")


def require_free_name(connection: Connection, project: str, name: str) -> None:
    """Raise Conflict if a backbone would be published with the name of a model."""
    if _published(connection, project, MODELS, name):
        raise Conflict(f"{name} has become a model meanwhile; bring the backbone again with another name")


def _published(connection: Connection, project: str, family: Family, name: str) -> bool:
    versions = family.versions.c
    named = select(versions.version).where(versions.project == project, versions.name == name)
    return connection.execute(named.limit(1)).first() is not None
