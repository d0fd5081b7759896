"""What a project keeps that may hold an image: dataset versions, archives, outputs of jobs, cached features."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, select

from contract.artifacts import ObjectRef
from contract.datasets import Split
from contract.jobs import LIVE, Job, JobKind
from contract.references import Reference, references_in
from contract.training import FeatureFile
from services.storage.catalog.uploads import stored_upload
from services.storage.database import Database
from services.storage.jobs.rows import job_of
from services.storage.people.removal import holds_image
from services.storage.tables import dataset_versions, features, jobs, review_items, uploads

FILES_OF_MODELS = ("vet", "backbone")  # kinds of jobs whose uploads are no archives


class JobOutput(NamedTuple):
    """The file that a job wrote; `dataset` and `split` are those that it judged, if it judged a split."""

    job: str
    kind: str
    form: str
    file: ObjectRef
    dataset: str | None
    split: Split | None


class Holdings:
    """Reads a project's objects that may hold an image; raises DatabaseUnavailable."""

    def __init__(self, database: Database, project: str) -> None:
        self._database = database
        self._project = project

    def versions(self) -> dict[Reference, ObjectRef | None]:
        """Return the index of each dataset version, newest first; None for a version without one."""
        with self._database.read() as connection:
            return indexes(connection, self._project)

    def uploads(self) -> dict[str, ObjectRef]:
        """Return the complete uploads that may be archives, by their ids."""
        with self._database.read() as connection:
            return archives(connection, self._project)

    def outputs(self) -> dict[str, JobOutput]:
        """Return the files with a row for each image that jobs wrote, by the job's id, newest first."""
        with self._database.read() as connection:
            return outputs(connection, self._project)

    def features(self) -> dict[tuple[str, str], FeatureFile]:
        """Return the cached features, by dataset and key."""
        with self._database.read() as connection:
            return cached_features(connection, self._project)

    def reviews(self, sha256: str) -> dict[str, str]:
        """Return the items of an image in the review queue, newest first, with the hash under which each has it.

        `sha256` is that of the image, or of the original of a sample, whose copy has a hash of its own.
        """
        table = review_items.c
        query = select(table.id, table.sha256).where(holds_image(self._project, sha256)).order_by(table.id.desc())
        with self._database.read() as connection:
            return {row.id: row.sha256 for row in connection.execute(query)}

    def erasing(self, sha256: str) -> Job | None:
        """Return the job that erases an image and has not ended, or None."""
        live = select(jobs).where(jobs.c.project == self._project, jobs.c.kind == "erase", jobs.c.state.in_(LIVE))
        with self._database.read() as connection:
            rows = connection.execute(live.order_by(jobs.c.id)).mappings().all()
        return next((job_of(row) for row in rows if row["spec"]["sha256"] == sha256), None)


def indexes(connection: Connection, project: str) -> dict[Reference, ObjectRef | None]:
    table = dataset_versions.c
    query = select(table.name, table.version, table.manifest["index"].label("index")).where(table.project == project)
    rows = connection.execute(query.order_by(table.created_at.desc(), table.name, table.version))
    return {
        Reference(name=name, version=version): None if index is None else ObjectRef.model_validate(index)
        for name, version, index in rows
    }


def archives(connection: Connection, project: str) -> dict[str, ObjectRef]:
    query = select(jobs.c.kind, jobs.c.spec).where(jobs.c.project == project, jobs.c.kind.in_(FILES_OF_MODELS))
    other = {text for row in connection.execute(query) for text in uploads_in(row.kind, row.spec)}
    complete = select(uploads).where(uploads.c.project == project, uploads.c.complete)
    rows = connection.execute(complete.order_by(uploads.c.id)).mappings()
    return {row["id"]: stored_upload(row) for row in rows if row["id"] not in other}


def outputs(connection: Connection, project: str) -> dict[str, JobOutput]:
    query = select(jobs.c.id, jobs.c.kind, jobs.c.spec, jobs.c.output).where(
        jobs.c.project == project, jobs.c.output.is_not(None), jobs.c.parent_id.is_(None)
    )
    return {row.id: _output(*row) for row in connection.execute(query.order_by(jobs.c.id.desc()))}


def cached_features(connection: Connection, project: str) -> dict[tuple[str, str], FeatureFile]:
    table = features.c
    rows = connection.execute(select(table.dataset, table.key, table.file).where(table.project == project))
    return {(dataset, key): FeatureFile(key=key, file=ObjectRef.model_validate(file)) for dataset, key, file in rows}


def uploads_in(kind: str, spec: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the uploads that a job's spec refers to."""
    for noun, text in references_in(JobKind(kind).definition.spec.model_validate(spec)):
        if noun == "upload":
            yield text


def _output(job: str, kind: str, spec: Mapping[str, Any], output: Mapping[str, Any]) -> JobOutput:
    judged = cast("Mapping[str, Any]", spec.get("input", spec))  # of a batch prediction, and of an evaluation
    split = judged.get("split")
    file = ObjectRef.model_validate(output)
    return JobOutput(job, kind, spec.get("format", "jsonl"), file, judged.get("dataset"), split and Split(split))
