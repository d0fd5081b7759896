"""Requests, specs, results and events of jobs."""

from contract.base import Frozen
from contract.datasets import OriginalFiles, PixelSums, Revision, Split
from contract.division import Division, PartDone
from contract.jobs import EventDraft, EventKind, Job, JobError, JobEvent, JobKind, JobState, Progress
from contract.kinds.erase import (
    ChangedFeatures,
    ChangedFile,
    ChangedVersion,
    ErasedVersion,
    EraseRequest,
    EraseResult,
    EraseSpec,
    Erasure,
    Searched,
)
from contract.kinds.index import IndexRequest, IndexResult, IndexSpec
from contract.kinds.kind import JobOptions
from contract.kinds.predict import PredictionOutput, PredictRequest, PredictResult, PredictSpec, SplitInput
from contract.kinds.preprocess import PreprocessRequest, PreprocessResult, PreprocessSpec
from contract.kinds.purge import Purged, PurgeRequest, PurgeResult, PurgeSpec
from contract.kinds.revise import (
    AddedOriginals,
    RevisedDataset,
    ReviseRequest,
    ReviseResult,
    ReviseSpec,
    RevisionChanges,
)
from contract.kinds.train import TrainRequest, TrainResult, TrainSpec
from contract.kinds.vet import ImageInput, ModelMetadata, VetRequest, VetResult, VetSpec
from contract.predictions import ImageResult
from contract.references import Reference, S3Source, UploadSource
from contract.revisions import DiffCounts, ImageChange, ImageDiff, VersionDiff
from contract.training import FeatureFile
from tests.examples.base import IMAGES_FILE, JOB_ID, LABELS, LABELS_FILE, ROWS_FILE, UPLOAD_ID, WHEN
from tests.examples.datasets import DATASET_MANIFEST, DATASET_REFERENCE, IMAGE, IMAGE_REQUEST, PREPROCESSING
from tests.examples.evaluation import OUTPUT_INFO
from tests.examples.models import METRICS, MODEL_MANIFEST

PREPROCESS_SPEC = PreprocessSpec(dataset="pets", source=UploadSource(upload=UPLOAD_ID), image=IMAGE_REQUEST)
PREPROCESS_REQUEST = PreprocessRequest(kind=JobKind.PREPROCESS, spec=PREPROCESS_SPEC)
TRAIN_SPEC = TrainSpec(dataset="pets@1", model="pet-cnn", epochs=1)
TRAIN_REQUEST = TrainRequest(kind=JobKind.TRAIN, spec=TRAIN_SPEC, priority=5, deadline_s=3600)
PREDICT_SPEC = PredictSpec(
    model="pet-cnn@1", input=SplitInput(dataset="pets@1", split=Split.TEST), top_k=2, format="csv"
)
PREDICT_REQUEST = PredictRequest(kind=JobKind.PREDICT, spec=PREDICT_SPEC)
IMAGE_INPUT = ImageInput(size=IMAGE.size, resize=IMAGE.resize, mean=PREPROCESSING.mean, std=PREPROCESSING.std)
INDEX_SPEC = IndexSpec(dataset="pets@1")
PURGE_SPEC = PurgeSpec(project="lab")
VET_SPEC = VetSpec(model="pet-vit", source=UploadSource(upload=UPLOAD_ID), labels=LABELS, preprocessing=IMAGE_INPUT)
VET_REQUEST = VetRequest(kind=JobKind.VET, spec=VET_SPEC)
ERASE_SPEC = EraseSpec(sha256="f" * 64)
ERASE_REQUEST = EraseRequest(kind=JobKind.ERASE, spec=ERASE_SPEC)
CHANGED_VERSION = ChangedVersion(
    dataset="pets@1", before=IMAGES_FILE, manifest=DATASET_MANIFEST, images=1, splits=(Split.TRAIN,)
)
CHANGED_FILE = ChangedFile(owner=UPLOAD_ID, before=ROWS_FILE, after=IMAGES_FILE, rows=1)
CHANGED_FEATURES = ChangedFeatures(
    dataset="pets", before=FeatureFile(key="0" * 32, file=IMAGES_FILE), after=LABELS_FILE
)
SEARCHED = Searched(versions=("pets@1",), uploads=(UPLOAD_ID,), outputs=(JOB_ID,), features=(IMAGES_FILE,))
ERASURE = Erasure(
    versions=(CHANGED_VERSION,),
    uploads=(CHANGED_FILE,),
    outputs=(CHANGED_FILE,),
    features=(CHANGED_FEATURES,),
    searched=SEARCHED,
    not_searched=("birds@1",),
    kept_originals=("s3://photos/cat/1.jpg",),
    rewritten_bytes=1000,
)
ERASE_RESULT = EraseResult(
    sha256="f" * 64,
    versions=(ErasedVersion(dataset="pets@1", images=1),),
    archives=1,
    outputs=(JOB_ID,),
    features=1,
    models=("pet-cnn@1",),
    rewritten_bytes=1000,
    kept_originals=("s3://photos/cat/1.jpg",),
    not_searched=("birds@1",),
)
REVISION = Revision(parent="pets@1", relabelled=1, added=2, removed=1, held_back=1, unmatched=1, test_split="open")
REVISED_MANIFEST = DATASET_MANIFEST.model_copy(
    update={
        "revision": REVISION,
        "originals": (
            OriginalFiles(source=UploadSource(upload=UPLOAD_ID), encoding="big5"),
            OriginalFiles(source=S3Source(s3="s3://photos/pets")),
        ),
        "moments": PixelSums(count=4, sums=(1, 2, 3), squares=(1, 4, 9)),
    }
)
IMAGE_CHANGES = (ImageChange(sha256="f" * 64, label="dog"), ImageChange(sha256="e" * 64, remove=True))
REVISE_SPEC = ReviseSpec(
    dataset="pets", parent="pets@1", reviews=(JOB_ID,), changes=IMAGE_CHANGES, labels=UploadSource(upload=UPLOAD_ID)
)
REVISE_REQUEST = ReviseRequest(kind=JobKind.REVISE, spec=REVISE_SPEC)
IMAGE_DIFF = ImageDiff(
    change="relabelled",
    sha256="f" * 64,
    path="train/cat/1.jpg",
    label="dog",
    split=Split.TRAIN,
    old_label="cat",
    old_split=Split.TRAIN,
)
VERSION_DIFF = VersionDiff(
    version="pets@2",
    base="pets@1",
    added=2,
    removed=1,
    relabelled=1,
    moved=0,
    unchanged=4,
    counts=DiffCounts(relabelled={Split.TRAIN: {"dog": 1}}),
    items=(IMAGE_DIFF,),
    next="1",
)
REVISED_DATASET = RevisedDataset(
    manifest=REVISED_MANIFEST, originals=AddedOriginals(upload=UPLOAD_ID, file=IMAGES_FILE), reviews={JOB_ID: "dog"}
)
PREDICTION_OUTPUT = PredictionOutput(artifact=ROWS_FILE, count=2, failed=0, metrics=METRICS)
PREPROCESS_RESULT = PreprocessResult.of(DATASET_REFERENCE, DATASET_MANIFEST)
TRAIN_RESULT = TrainResult.of(Reference(name="pet-cnn", version=1), MODEL_MANIFEST)
PROGRESS = Progress(fraction=0.5, message="epoch 1 of 2")
JOB_ERROR = JobError(code="bad_archive", message="the file is not a zip archive")
JOB = Job(
    id=JOB_ID,
    kind=JobKind.PREPROCESS,
    state=JobState.SUCCEEDED,
    spec=PREPROCESS_SPEC.model_dump(mode="json"),
    progress=PROGRESS,
    priority=0,
    attempt=1,
    max_attempts=3,
    result=PREPROCESS_RESULT.model_dump(mode="json"),
    error=None,
    created_at=WHEN,
    started_at=WHEN,
    finished_at=WHEN,
    deadline_at=None,
)

EXAMPLES: tuple[Frozen, ...] = (
    PREPROCESS_SPEC.source,
    PREPROCESS_SPEC,
    JobOptions(priority=-5, deadline_s=60),
    PREPROCESS_REQUEST,
    TRAIN_REQUEST,
    PURGE_SPEC,
    PurgeRequest(kind="purge", spec=PURGE_SPEC),
    Purged(project="lab"),
    PurgeResult(project="lab"),
    INDEX_SPEC,
    IndexRequest(kind=JobKind.INDEX, spec=INDEX_SPEC),
    IndexResult(dataset="pets@1", indexed=5, missing=1),
    ERASE_SPEC,
    ERASE_REQUEST,
    CHANGED_VERSION,
    CHANGED_FILE,
    CHANGED_FEATURES,
    SEARCHED,
    ERASURE,
    REVISE_SPEC,
    REVISE_REQUEST,
    REVISED_DATASET,
    REVISED_DATASET.originals,
    ReviseResult.of(DATASET_REFERENCE, REVISED_MANIFEST, REVISION, 1),
    RevisionChanges(**{name: getattr(REVISE_SPEC, name) for name in RevisionChanges.model_fields}),
    REVISION,
    *REVISED_MANIFEST.originals[:1],
    REVISED_MANIFEST.moments,
    IMAGE_CHANGES[0],
    IMAGE_DIFF,
    VERSION_DIFF.counts,
    VERSION_DIFF,
    ERASE_RESULT.versions[0],
    ERASE_RESULT,
    VET_SPEC,
    VET_REQUEST,
    VetResult(model="pet-vit@1", status="rejected"),
    ModelMetadata(labels=LABELS, output="logits", samples={"images": [[0.5, 1.0]]}),
    IMAGE_INPUT,
    PROGRESS,
    JOB_ERROR,
    PREPROCESS_RESULT,
    TRAIN_RESULT,
    JOB,
    PREDICT_SPEC.input,
    PREDICT_SPEC,
    PREDICT_REQUEST,
    PREDICTION_OUTPUT,
    PredictResult(count=2, failed=0, output=OUTPUT_INFO, metrics=METRICS),
    Division(parts=({"members": [0, 1]}, {"members": [2]})),
    PartDone(result={"count": 2}),
    EventDraft(kind=EventKind.LOG, data={"message": "2 files are not images"}),
    JobEvent(id=3, at=WHEN, kind=EventKind.STATE, data={"state": "running", "attempt": 1}),
    ImageResult(error=JOB_ERROR),
    TRAIN_SPEC,
)
