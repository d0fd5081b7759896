"""Purge: delete a project with everything that it has."""

from typing import Literal

from contract.base import Frozen, Name
from contract.division import Outcome
from contract.kinds.kind import STORAGE, JobSpec, Kind, KindRequest
from contract.kinds.registry import register


class PurgeSpec(JobSpec):
    """Delete a project, which is invisible already, with its versions, jobs, uploads and objects."""

    project: Name


class PurgeRequest(KindRequest):
    kind: Literal["purge"]
    spec: PurgeSpec


class Purged(Outcome):
    """The outcome of a purge: nothing is left but the project's name, which can be used again."""

    project: Name


class PurgeResult(Frozen):
    project: Name


register(Kind(name="purge", pool=STORAGE, request=PurgeRequest, outcome=Purged))
