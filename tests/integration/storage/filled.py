"""A project that has one of everything: versions, features, outputs, checkpoints, parts, and uploads of every state."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from contract.access import Role
from contract.artifacts import Bucket, ObjectRef, attempt_prefix, review_key, upload_key
from contract.datasets import Shard, Split
from contract.division import Division, Outcome
from contract.jobs import Job, JobKind, JobRequest
from contract.kinds.evaluate import EvaluateRequest, EvaluationOutput
from contract.kinds.index import DatasetIndex, IndexRequest, IndexSpec
from contract.kinds.predict import PredictionOutput
from contract.references import UploadSource
from contract.reviews import FeedbackRequest, ReviewAnswer
from contract.sampling import ReviewSampling
from contract.training import FeatureFile
from contract.usage import StorageCategory
from services.storage.access.audit import Actor
from services.storage.catalog.uploads import new_upload_id
from services.storage.jobs.claims import Claim
from services.storage.jobs.idempotency import IdempotencyKey
from services.storage.people.rows import Reviewer
from services.storage.stores import ProjectStores, Stores
from tests.examples import (
    BACKBONE_MANIFEST,
    BACKBONE_REQUEST,
    DATASET_MANIFEST,
    EVALUATE_SPEC,
    EVALUATION_REPORT,
    MODEL_MANIFEST,
    PIPELINE_REQUEST,
    PREDICT_REQUEST,
    PREPROCESS_REQUEST,
    SAMPLE,
    TRAIN_REQUEST,
    VET_REQUEST,
    VETTED_MANIFEST,
)
from tests.integration.storage.steps import claimed

Write = Callable[[StorageCategory], ObjectRef]
Shown = StorageCategory


@dataclass
class Filled:
    """A project and the sizes of the objects that it has, by category."""

    stores: Stores
    project: str
    sizes: dict[StorageCategory, list[int]] = field(default_factory=dict)

    @property
    def own(self) -> ProjectStores:
        return self.stores.of(self.project, actor=Actor("0123abcd", "test", "a-request", self.project))

    def put(self, bucket: Bucket, key: str, category: StorageCategory) -> ObjectRef:
        size = random.randint(1, 3000)
        self.sizes.setdefault(category, []).append(size)
        return self.stores.objects.put(bucket, key, random.randbytes(size))

    def upload(self) -> str:
        upload_id = new_upload_id()
        stored = self.put(Bucket.UPLOADS, upload_key(upload_id, self.project), Shown.UPLOADS)
        return self.own.uploads.add("a.zip", stored).id

    def begin(self, request: JobRequest) -> tuple[Claim, Write]:
        """Start a job; return a function that writes an object of its attempt."""
        self.own.jobs.create(request)
        claim = claimed(self.stores.leases, JobKind(request.kind))
        prefix = attempt_prefix(claim.lease.job_id, claim.lease.fence, self.project)
        return claim, lambda category: self.put(Bucket.JOBS, f"{prefix}{random.randbytes(8).hex()}", category)

    def run(self, request: JobRequest, outcome: Callable[[Write], Outcome]) -> Job:
        """Run a job that also leaves an object behind that nothing refers to."""
        claim, write = self.begin(request)
        write(Shown.WAITING)
        return self.stores.leases.finish(claim.lease, outcome(write))


def of_upload(request: JobRequest, upload_id: str) -> JobRequest:
    return request.model_copy(
        update={"spec": request.spec.model_copy(update={"source": UploadSource(upload=upload_id)})}
    )


def fill(stores: Stores, project: str) -> Filled:
    """Give a project, whose names are free, one of everything."""
    filled = Filled(stores, project)
    own = filled.own
    _publish_everything(filled)
    own.models.set_alias("pet-cnn", "production", 1)
    own.sampling.set("pet-cnn", "production", ReviewSampling())
    own.sampling_counts("pet-cnn", "production").sync({"seen": 1})
    own.keys.create("ann", Role.MEMBER)
    own.pipelines.create(PIPELINE_REQUEST)
    own.pipelines.start(PIPELINE_REQUEST.name)
    own.uploads.expect(new_upload_id(), "later.zip", 1, None, IdempotencyKey("0123abcd", "once", "0" * 64, project))
    filled.upload()
    copy = filled.put(Bucket.UPLOADS, review_key(new_upload_id(), project), Shown.REVIEWS)
    own.reviews.add([SAMPLE.model_copy(update={"file": copy, "expires_at": None})])
    (item,) = own.reviews.batch(Reviewer("0123abcd", "ann")).items
    own.reviews.answer(item.id, item.lease, Reviewer("0123abcd", "ann"), ReviewAnswer(label="cat"))
    own.feedback.give(FeedbackRequest(prediction="another", label="cat"), Reviewer("0123abcd", "ann"))
    _leave_unfinished(filled)
    return filled


def _publish_everything(filled: Filled) -> None:
    def shard(write: Write) -> Shard:
        return Shard(count=4, images=write(Shown.DATASETS), labels=write(Shown.DATASETS))

    filled.run(
        of_upload(PREPROCESS_REQUEST, filled.upload()),
        lambda write: DATASET_MANIFEST.model_copy(update={"shards": {Split.TRAIN: (shard(write), shard(write))}}),
    )
    filled.run(
        IndexRequest(kind="index", spec=IndexSpec(dataset="pets@1")),
        lambda write: DatasetIndex(index=write(Shown.DATASETS), data_sha256=None, indexed=1, missing=0, warnings=()),
    )
    filled.run(
        TRAIN_REQUEST,
        lambda write: MODEL_MANIFEST.model_copy(
            update={
                "artifact": write(Shown.MODELS),
                "variants": (),
                "state": write(Shown.MODELS),
                "features": FeatureFile(key="0" * 32, file=write(Shown.FEATURES)),
            }
        ),
    )
    filled.run(
        of_upload(VET_REQUEST, filled.upload()),
        lambda write: VETTED_MANIFEST.model_copy(update={"artifact": write(Shown.MODELS), "variants": ()}),
    )
    filled.run(
        of_upload(BACKBONE_REQUEST, filled.upload()),
        lambda write: BACKBONE_MANIFEST.model_copy(update={"file": write(Shown.BACKBONES)}),
    )
    filled.run(
        PREDICT_REQUEST,
        lambda write: PredictionOutput(artifact=write(Shown.PREDICTIONS), count=1, failed=0, metrics=None),
    )
    filled.run(
        EvaluateRequest(kind="evaluate", spec=EVALUATE_SPEC),
        lambda write: EvaluationOutput(artifact=write(Shown.EVALUATIONS), report=EVALUATION_REPORT),
    )


def _leave_unfinished(filled: Filled) -> None:
    """Leave a job with a checkpoint, a divided one, and one that writes; a failed one has left an object behind."""
    stores = filled.stores
    claim, write = filled.begin(TRAIN_REQUEST)
    stores.leases.save_checkpoint(claim.lease, write(Shown.CHECKPOINTS))
    write(Shown.RUNNING)
    claim, write = filled.begin(PREPROCESS_REQUEST)
    plan = write(Shown.PARTS).model_dump(mode="json")
    write(Shown.WAITING)  # the fence has changed
    stores.parts.divide(claim.lease, Division(parts=({"plan": plan, "number": 0}, {"plan": plan, "number": 1})))
    for _ in range(2):
        part = claimed(stores.leases, JobKind.PREPROCESS).lease
        filled.put(Bucket.JOBS, attempt_prefix(part.job_id, part.fence, filled.project) + "x", Shown.RUNNING)
    claim, write = filled.begin(VET_REQUEST)
    write(Shown.WAITING)
    filled.own.jobs.cancel(claim.job.id)
    stores.leases.cancelled(claim.lease)
