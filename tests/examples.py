"""One example of every public value of the contract: an invented run over images of cats and dogs."""

from datetime import UTC, datetime

from contract.access import ApiKey, NewApiKey, NewKeyRequest, Scope
from contract.artifacts import Bucket, ByteRange, ObjectRef
from contract.backbones import (
    Backbone,
    BackboneImages,
    BackboneInput,
    BackboneManifest,
    BackboneMetadata,
    BackboneVersion,
    BuiltIn,
    OnnxNames,
)
from contract.base import Frozen
from contract.catalog import Alias, Dataset, DatasetVersion, Model, ModelVersion, Traffic, Upload
from contract.choices import Choice
from contract.datasets import Counts, DatasetManifest, DatasetWarning, Rejected, Shard, Split, SplitSpec, Thumbnail
from contract.division import Division, PartDone
from contract.evaluation import (
    Baseline,
    ClassMetrics,
    Comparison,
    Confusion,
    EvaluationMetrics,
    EvaluationReport,
    JudgedImage,
    LabelError,
    Metrics,
    Temperature,
    UnknownThreshold,
)
from contract.image_index import ImageDetails, ImagePage, ImageRecord
from contract.images import ImageRequest, ImageSpec, Preprocessing
from contract.jobs import EventDraft, EventKind, Job, JobError, JobEvent, JobKind, JobState, Progress
from contract.kinds.backbone import BackboneRequest, BackboneResult, BackboneSpec
from contract.kinds.evaluate import EvaluateRequest, EvaluateResult, EvaluateSpec, EvaluationOutput
from contract.kinds.index import DatasetIndex, IndexRequest, IndexResult, IndexSpec
from contract.kinds.kind import JobOptions
from contract.kinds.predict import OutputInfo, PredictionOutput, PredictRequest, PredictResult, PredictSpec, SplitInput
from contract.kinds.preprocess import LayoutSpec, PreprocessRequest, PreprocessResult, PreprocessSpec
from contract.kinds.train import TrainRequest, TrainResult, TrainSpec
from contract.kinds.vet import ImageInput, ModelMetadata, VetRequest, VetResult, VetSpec
from contract.layers import (
    AvgPool,
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Empty,
    Flatten,
    Gelu,
    GlobalAvgPool,
    MaxPool,
    Relu,
)
from contract.lineage import Lineage
from contract.models import ModelCard, ModelWarning
from contract.pools import (
    AutoPool,
    Decision,
    ManualPool,
    Measured,
    Pool,
    PoolChange,
    PoolMode,
    Queue,
    ReplicaCounts,
    ScalingPolicy,
)
from contract.predictions import ImageResult, Prediction
from contract.references import Reference, S3Source, UploadSource
from contract.supervision import ComponentReport, State
from contract.training import (
    Adam,
    Augment,
    Budget,
    Cnn,
    Epoch,
    FeatureFile,
    Layers,
    Mlp,
    ModelManifest,
    OnnxInfo,
    ResNet18,
    Sgd,
    TensorSignature,
)
from contract.usage import Usage, UsageBy, UsageLine
from contract.variants import Variant

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOB_ID = "019b7c2a-3d48-7000-8000-000000000001"
UPLOAD_ID = "019b7c2a-3d48-7000-8000-000000000002"
LABELS = ("cat", "dog")

UPLOAD = Upload(id=UPLOAD_ID, filename="pets.zip", size=4096, sha256="a" * 64, complete=True, created_at=WHEN)
IMAGES_FILE = ObjectRef(bucket=Bucket.JOBS, key=f"{JOB_ID}/attempts/1/train-0.npy", size=12416, sha256="b" * 64)
LABELS_FILE = ObjectRef(bucket=Bucket.JOBS, key=f"{JOB_ID}/attempts/1/train-0-labels.npy", size=160, sha256="c" * 64)
ONNX_FILE = ObjectRef(bucket=Bucket.JOBS, key=f"{JOB_ID}/attempts/1/model.onnx", size=2048, sha256="d" * 64)
ROWS_FILE = ObjectRef(bucket=Bucket.JOBS, key=f"{JOB_ID}/attempts/1/predictions.csv", size=64, sha256="e" * 64)

IMAGE = ImageSpec(size=(32, 32), mode="RGB", resize="crop")
PREPROCESSING = Preprocessing(image=IMAGE, mean=(0.5, 0.25, 0.125), std=(0.25, 0.25, 0.5))
SHARD = Shard(count=4, images=IMAGES_FILE, labels=LABELS_FILE)
COUNTS = Counts(train=4, val=0, test=2)
REJECTED = Rejected(file="cat/notes.txt", reason="is not an image")
THUMBNAIL = Thumbnail(label="cat", image="data:image/png;base64,iVBORw0KGgo=")
WARNING = DatasetWarning(
    code="duplicate_images",
    message="2 images have the same content",
    count=2,
    examples=("cat/1.jpg", "cat/2.jpg"),
    advice="remove the copies",
)
CHOICE = Choice(what="image.size", value=[32, 32], because="the images are 32 pixels wide")
IMAGE_RECORD = ImageRecord(
    sha256="f" * 64,
    path="train/cat/1.jpg",
    split=Split.TRAIN,
    label="cat",
    width=640,
    height=480,
    shard=0,
    row=3,
    average_hash="ff00ff00ff00ff00",
    difference_hash="0f0f0f0f0f0f0f0f",
)
DATASET_MANIFEST = DatasetManifest(
    classes=LABELS,
    image=IMAGE,
    mean=PREPROCESSING.mean,
    std=PREPROCESSING.std,
    counts=COUNTS,
    counts_by_class={Split.TRAIN: {"cat": 2, "dog": 2}, Split.VAL: {}, Split.TEST: {"cat": 1, "dog": 1}},
    shards={Split.TRAIN: (SHARD,), Split.VAL: (), Split.TEST: ()},
    rejected=1,
    rejected_files=(REJECTED,),
    thumbnails=(THUMBNAIL,),
    warnings=(WARNING,),
    decisions=(CHOICE,),
    data_sha256="9" * 64,
)

EPOCH = Epoch(epoch=1, train_loss=0.75, val_loss=None, val_accuracy=None, seconds=1.5)
CLASS_METRICS = ClassMetrics(precision=1.0, recall=0.5, f1=0.75, support=2)
METRICS = Metrics(
    accuracy=0.5,
    accuracy_interval=(0.09, 0.91),
    balanced_accuracy=0.5,
    macro_f1=0.67,
    top5_accuracy=None,
    loss=0.5,
    expected_calibration_error=0.25,
    confusion_matrix=((1, 0), (1, 0)),
    per_class={"cat": CLASS_METRICS, "dog": ClassMetrics(precision=0.0, recall=0.0, f1=0.0, support=0)},
)
EVALUATION = EvaluationMetrics(val=None, test=METRICS)
INPUT = TensorSignature(name="images", dtype="float32", shape=("batch", 3, 32, 32))
OUTPUT = TensorSignature(name="logits", dtype="float32", shape=("batch", 2))
ONNX = OnnxInfo(sha256=ONNX_FILE.sha256, size=ONNX_FILE.size, opset=17, parity_max_abs_diff=1e-6)
LINEAGE = Lineage(
    data_sha256="9" * 64,
    code_version="1.0",
    spec={"dataset": "pets@1"},
    seed=0,
    libraries={"torch": "2.13.0"},
    hardware="cpu",
)
VARIANT = Variant(name="int8", artifact=ONNX_FILE, size=2048, accuracy=0.5, agreement=1.0, images_per_second=420.0)
MODEL_MANIFEST = ModelManifest(
    artifact=ONNX_FILE,
    labels=LABELS,
    preprocessing=PREPROCESSING,
    inputs=(INPUT,),
    outputs=(OUTPUT,),
    dataset="pets@1",
    metrics=EVALUATION,
    epochs=(EPOCH,),
    best_epoch=1,
    parameters=1234,
    device="cpu",
    onnx=ONNX,
    decisions=(CHOICE,),
    lineage=LINEAGE,
    variants=(VARIANT,),
)

IMAGE_REQUEST = ImageRequest(size=(32, 32), mode="RGB")
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
BACKBONE_INPUT = BackboneInput(size=(96, 96), mean=PREPROCESSING.mean, std=PREPROCESSING.std)
BACKBONE_SPEC = BackboneSpec(
    backbone="pet-body",
    source=UploadSource(upload=UPLOAD_ID),
    architecture="resnet18",
    preprocessing=BACKBONE_INPUT,
    licence="MIT",
)
BACKBONE_REQUEST = BackboneRequest(kind=JobKind.BACKBONE, spec=BACKBONE_SPEC)
BACKBONE_IMAGES = BackboneImages(size=(96, 96), mode="RGB", mean=PREPROCESSING.mean, std=PREPROCESSING.std)
BACKBONE_MANIFEST = BackboneManifest(
    format="safetensors",
    file=ObjectRef(bucket=Bucket.JOBS, key="job-1/attempts/1/state.safetensors", size=46_800_000, sha256="c" * 64),
    sha256="d" * 64,
    size_bytes=46_800_000,
    architecture="resnet18",
    images=BACKBONE_IMAGES,
    features=512,
    parameters=11_176_512,
    licence="MIT",
)
VET_SPEC = VetSpec(model="pet-vit", source=UploadSource(upload=UPLOAD_ID), labels=LABELS, preprocessing=IMAGE_INPUT)
VET_REQUEST = VetRequest(kind=JobKind.VET, spec=VET_SPEC)
MODEL_WARNING = ModelWarning(code="not_tried", message="the model was not tried", advice="upload samples of its inputs")
VETTED_MANIFEST = ModelManifest(
    artifact=ONNX_FILE,
    inputs=(INPUT,),
    outputs=(OUTPUT,),
    parameters=1234,
    onnx=ONNX.model_copy(update={"parity_max_abs_diff": None}),
    warnings=(MODEL_WARNING,),
)
EVALUATE_SPEC = EvaluateSpec(model="pet-cnn@2", dataset="pets@1", compare_with="pet-cnn@1")
JUDGED_IMAGE = JudgedImage(
    image=1, sha256="f" * 64, path="test/dog/1.jpg", label="dog", predicted="cat", score=0.75, label_score=0.25
)
CONFUSION = Confusion(label="dog", predicted="cat", count=1, examples=(JUDGED_IMAGE,))
LABEL_ERROR = LabelError(**JUDGED_IMAGE.model_dump(), suggested="cat", margin=-0.5)
BASELINE = Baseline(model="pet-cnn@1", metrics=METRICS)
COMPARISON = Comparison(
    better=1,
    worse=0,
    both_right=1,
    both_wrong=0,
    test="exact",
    p_value=1.0,
    statement="pet-cnn@2 is better than pet-cnn@1 on 1 image and worse on 0",
)
TEMPERATURE = Temperature(
    temperature=1.5,
    chosen_on=Split.VAL,
    loss_before=0.5,
    loss_after=0.4,
    calibration_error_before=0.25,
    calibration_error_after=0.125,
)
UNKNOWN_THRESHOLD = UnknownThreshold(below=0.8, wanted_precision=0.95, chosen_on=Split.VAL, precision=1.0, coverage=0.5)
EVALUATION_REPORT = EvaluationReport(
    model="pet-cnn@2",
    model_variant="int8",
    dataset="pets@1",
    split=Split.TEST,
    count=2,
    failed=0,
    summary=("pet-cnn@2 is right on 50.0 % of 2 images",),
    warnings=("There are only 2 images, so chance has a large part in these numbers.",),
    metrics=METRICS,
    baseline=BASELINE,
    comparison=COMPARISON,
    temperature=TEMPERATURE,
    unknown=UNKNOWN_THRESHOLD,
    mistakes=(JUDGED_IMAGE,),
    confusions=(CONFUSION,),
    label_errors=(LABEL_ERROR,),
    label_error_count=1,
)
PREDICTION_OUTPUT = PredictionOutput(artifact=ROWS_FILE, count=2, failed=0, metrics=METRICS)
OUTPUT_INFO = OutputInfo(size=ROWS_FILE.size, sha256=ROWS_FILE.sha256)
DATASET_REFERENCE = Reference(name="pets", version=1)
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

POLICY = ScalingPolicy(min=0, max=8, idle_s=60, backlog_per_replica=4)
COUNTED = {"waiting": 6, "running": 2}
USAGE_LINE = UsageLine(key="2026-01-02", ready_s=120.0, jobs_s=30.5, online_s=12.25, gpu_s=0.0, at_max_s=691200.0)

API_KEY = ApiKey(id="0123abcd", name="laptop", scopes=(Scope.PREDICT, Scope.READ), created_at=WHEN)
TRAFFIC = Traffic(versions={1: 90, 2: 10}, shadow=3)
ALIAS = Alias(alias="production", version=1, versions={1: 100}, shadow=None, updated_at=WHEN)
PREDICTION = Prediction(label="cat", score=0.75)
IMAGE_RESULT = ImageResult(predictions=(PREDICTION,))

EXAMPLES: tuple[Frozen, ...] = (
    # artifacts, catalog
    ONNX_FILE,
    UPLOAD,
    Dataset(name="pets", versions=(2, 1), created_at=WHEN),
    DatasetVersion(
        name="pets",
        version=1,
        job=JOB_ID,
        created_at=WHEN,
        shape=IMAGE.shape,
        **{
            field: getattr(DATASET_MANIFEST, field)
            for field in DatasetManifest.model_fields
            if field not in ("shards", "index")
        },
    ),
    TRAFFIC,
    ALIAS,
    Model(name="pet-cnn", versions=(1,), rejected=(2,), aliases=(ALIAS,), created_at=WHEN),
    ModelVersion(
        name="pet-cnn",
        version=1,
        job=JOB_ID,
        dataset="pets@1",
        created_at=WHEN,
        labels=LABELS,
        aliases=("production",),
        preprocessing=PREPROCESSING,
        inputs=(INPUT,),
        outputs=(OUTPUT,),
        batched=True,
        metrics=EVALUATION,
        best_epoch=1,
        parameters=1234,
        trained_on="cpu",
        provider="CPUExecutionProvider",
        onnx=ONNX,
    ),
    # datasets, images
    SplitSpec(train=0.5, val=0.25, test=0.25, seed=7),
    REJECTED,
    THUMBNAIL,
    SHARD,
    COUNTS,
    DATASET_MANIFEST,
    WARNING,
    CHOICE,
    IMAGE_RECORD,
    ImagePage(items=(IMAGE_RECORD,), next=None),
    ImageDetails(
        sha256=IMAGE_RECORD.sha256,
        occurrences=(IMAGE_RECORD,),
        versions=("pets@1",),
        models=("pet-cnn@1",),
        jobs=(JOB_ID,),
    ),
    IMAGE,
    IMAGE_REQUEST,
    LayoutSpec(class_level="leaf", encoding="big5", path_column="image_id", label_column="dx"),
    PREPROCESSING,
    # jobs
    PREPROCESS_SPEC.source,
    PREPROCESS_SPEC,
    JobOptions(priority=-5, deadline_s=60),
    PREPROCESS_REQUEST,
    TRAIN_REQUEST,
    INDEX_SPEC,
    IndexRequest(kind=JobKind.INDEX, spec=INDEX_SPEC),
    IndexResult(dataset="pets@1", indexed=5, missing=1),
    DatasetIndex(index=IMAGES_FILE, data_sha256="a" * 64, indexed=5, missing=1, warnings=(WARNING,)),
    ByteRange(start=3, stop=8, sha256="f" * 64),
    VET_SPEC,
    VET_REQUEST,
    VetResult(model="pet-vit@1", status="rejected"),
    BACKBONE_INPUT,
    BACKBONE_SPEC,
    BACKBONE_REQUEST,
    BACKBONE_IMAGES,
    BACKBONE_MANIFEST,
    BackboneMetadata(architecture="lite0"),
    BackboneResult(backbone="pet-body@1", status="ready"),
    OnnxNames(input="images", output="features"),
    BuiltIn(
        title="A network",
        side=224,
        features=1280,
        parameters=3_371_008,
        mean=0.5,
        std=0.5,
        sha256="e" * 64,
        licence="Apache-2.0",
    ),
    Backbone(
        name="pet-body",
        versions=(2, 1),
        rejected=(3,),
        format="safetensors",
        architecture="resnet18",
        images=BACKBONE_IMAGES,
        features=512,
        parameters=11_176_512,
        licence="MIT",
        sha256="d" * 64,
        created_at=WHEN,
    ),
    BackboneVersion(name="pet-body", version=3, status="rejected", reason="a pickle", job="job-1", created_at=WHEN),
    ModelMetadata(labels=LABELS, output="logits", samples={"images": [[0.5, 1.0]]}),
    IMAGE_INPUT,
    PROGRESS,
    JOB_ERROR,
    PREPROCESS_RESULT,
    TRAIN_RESULT,
    JOB,
    # batches, division, events
    PREDICT_SPEC.input,
    PREDICT_SPEC,
    PREDICT_REQUEST,
    PREDICTION_OUTPUT,
    OUTPUT_INFO,
    PredictResult(count=2, failed=0, output=OUTPUT_INFO, metrics=METRICS),
    # evaluation
    EVALUATE_SPEC,
    EvaluateRequest(kind=JobKind("evaluate"), spec=EVALUATE_SPEC),
    JUDGED_IMAGE,
    CONFUSION,
    LABEL_ERROR,
    BASELINE,
    COMPARISON,
    TEMPERATURE,
    UNKNOWN_THRESHOLD,
    EVALUATION_REPORT,
    EvaluationOutput(artifact=ROWS_FILE, report=EVALUATION_REPORT),
    EvaluateResult(**dict(EVALUATION_REPORT), output=OUTPUT_INFO),
    Division(parts=({"members": [0, 1]}, {"members": [2]})),
    PartDone(result={"count": 2}),
    EventDraft(kind=EventKind.LOG, data={"message": "2 files are not images"}),
    JobEvent(id=3, at=WHEN, kind=EventKind.STATE, data={"state": "running", "attempt": 1}),
    # keys; one scope, because a set of several has no order
    NewKeyRequest(name="laptop", scopes=frozenset({Scope.READ})),
    API_KEY,
    NewApiKey(**API_KEY.model_dump(), secret="tp_0123abcd_" + "A" * 43),
    # layers
    Empty(),
    Conv(conv=8, kernel=5, stride=2, padding="valid"),
    MaxPool(maxpool=2),
    AvgPool(avgpool=2),
    GlobalAvgPool(globalavgpool=Empty()),
    Flatten(flatten=Empty()),
    Dense(dense=16),
    Relu(relu=Empty()),
    Gelu(gelu=Empty()),
    BatchNorm(batchnorm=Empty()),
    Dropout(dropout=0.5),
    # models, predictions, references
    ModelCard(labels=LABELS, preprocessing=PREPROCESSING, output="probabilities", max_batch=1),
    MODEL_WARNING,
    PREDICTION,
    ImageResult(error=JOB_ERROR),
    Reference(name="pet-cnn", alias="production"),
    S3Source(s3="s3://photos/pets"),
    # pools, usage
    POLICY,
    Measured(at=12.5, ready=2, draining=1, oldest_s=1.5, busy=0.5, requests_per_minute=90.0, **COUNTED),
    Decision(replicas=3, reason="6 wait and 2 run, which is more than 4 for each of 2"),
    ManualPool(mode=PoolMode.MANUAL, replicas=3),
    AutoPool(mode=PoolMode.AUTO, min=0, max=8),
    ReplicaCounts(desired=3, created=4, ready=2, draining=None, min=0, max=8),
    Queue(oldest_s=1.5, **COUNTED),
    Pool(
        name="inference",
        mode=PoolMode.AUTO,
        replicas=ReplicaCounts(desired=3, ready=2, draining=0, min=0, max=8),
        queue=Queue(oldest_s=1.5, **COUNTED),
        policy=POLICY,
    ),
    PoolChange(at=WHEN, desired=3, ready=2, reason="6 wait", **COUNTED),
    ComponentReport(name="inference-2", role="inference", index=2, state=State.DRAINING, restarts=0, pid=4711),
    USAGE_LINE,
    Usage(since=WHEN.date(), until=WHEN.date(), by=UsageBy.DAY, items=(USAGE_LINE,)),
    # training
    Mlp(name="mlp", hidden=(128, 64)),
    Cnn(),
    ResNet18(name="resnet18"),
    Layers(layers=(Conv(conv=8), Relu(relu=Empty()), GlobalAvgPool(globalavgpool=Empty()))),
    Adam(lr=0.01),
    Sgd(name="sgd", lr=0.1, momentum=0.5, weight_decay=0.0),
    TRAIN_SPEC,
    EPOCH,
    CLASS_METRICS,
    METRICS,
    EVALUATION,
    INPUT,
    ONNX,
    MODEL_MANIFEST,
    LINEAGE,
    VARIANT,
    Augment(flip=False, colour=0.25),
    FeatureFile(key="0" * 32, file=IMAGES_FILE),
    Budget(minutes=10),
)
