"""The alias of a pipeline: its champion, and the changes for a candidate, which a person's changes prevent."""

from datetime import datetime

from sqlalchemy import Connection, select

from contract.audit import AuditAction
from contract.catalog import Alias, Traffic
from contract.errors import Conflict
from contract.pipelines import PipelineRequest, PipelineRun
from contract.references import Reference
from services.storage.access.audit import Actor, record
from services.storage.catalog.aliases import aliases_of, point
from services.storage.catalog.models import text_of
from services.storage.tables import aliases


def champion_of(connection: Connection, project: str, request: PipelineRequest) -> Reference:
    """Return the version that the alias of a pipeline points at; raises Conflict without exactly one."""
    alias = _alias(connection, project, request)
    name = f"{request.model}@{request.alias}"
    if alias is None:
        raise Conflict(f"{name} is gone; point it at the version that candidates are to be compared with")
    if len(alias.versions) > 1:
        shared = ", ".join(map(str, alias.versions))
        raise Conflict(f"{name} shares its requests among the versions {shared}; point it at one, and run again")
    return Reference(name=request.model, version=alias.version)


def point_at(
    connection: Connection,
    project: str,
    actor: Actor,
    request: PipelineRequest,
    run: PipelineRun,
    traffic: Traffic,
    now: datetime,
) -> None:
    """Change the alias of a pipeline for its candidate; raises Conflict if a person has changed it meanwhile.

    A shadow that is not the candidate stays, unless the candidate is to be the shadow.
    """
    alias = _alias(connection, project, request, lock=True)
    name, champion = f"{request.model}@{request.alias}", Reference.parse(str(run.champion))
    current = None if alias is None else Traffic(versions=alias.versions, shadow=alias.shadow)
    if alias is None or current is None or alias.versions != {champion.version: 100}:
        points = "is gone" if current is None else f"points at {text_of(current)}"
        raise Conflict(
            f"{name} {points} by now, and {run.candidate} was compared with {champion}; a person has changed it, so "
            "nothing was promoted"
        )
    own = Reference.parse(str(run.candidate)).version
    if run.step == "shadow" and alias.shadow != own:
        raise Conflict(f"a person has ended the shadow of {name}, so {run.candidate} was not promoted")
    if traffic.shadow is not None and alias.shadow is not None:
        raise Conflict(f"{name} has the shadow {alias.shadow}; end it, and run again, or promote {run.candidate}")
    if traffic.shadow is None and alias.shadow != own:
        traffic = traffic.model_copy(update={"shadow": alias.shadow})
    point(connection, project, request.model, request.alias, traffic, now)
    record(connection, actor, AuditAction.PROMOTE, f"models/{name}", now, text_of(traffic))


def end_shadow(
    connection: Connection, project: str, actor: Actor | None, request: PipelineRequest, run: PipelineRun, now: datetime
) -> None:
    """Let the candidate no longer be the shadow of the alias, if it still is."""
    alias = _alias(connection, project, request, lock=True)
    if alias is not None and alias.shadow == Reference.parse(str(run.candidate)).version:
        traffic = Traffic(versions=alias.versions)
        point(connection, project, request.model, request.alias, traffic, now)
        name = f"models/{request.model}@{request.alias}"
        record(connection, actor, AuditAction.PROMOTE, name, now, text_of(traffic))


def _alias(connection: Connection, project: str, request: PipelineRequest, lock: bool = False) -> Alias | None:
    if lock:
        own = (aliases.c.project == project) & (aliases.c.model == request.model) & (aliases.c.alias == request.alias)
        connection.execute(select(aliases.c.alias).where(own).with_for_update())
    of_model = aliases_of(connection, project, request.model)
    return next((alias for alias in of_model if alias.alias == request.alias), None)
