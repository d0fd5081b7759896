"""Architectures, training, models and predictions."""

from contract.base import Frozen
from contract.catalog import Alias, Model, ModelVersion, Traffic
from contract.evaluation import (
    ClassMetrics,
    EvaluationMetrics,
    Metrics,
)
from contract.kinds.train import Replicas
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
from contract.predictions import IdentifiedResult, ImageResult, Prediction
from contract.sampling import AliasSampling, ReviewSampling, SampledToday, SamplingMix
from contract.training import (
    Adam,
    Airbench,
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
from contract.variants import Variant
from tests.examples.base import IMAGES_FILE, JOB_ID, LABELS, ONNX_FILE, WHEN
from tests.examples.datasets import CHOICE, PREPROCESSING

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
MODEL_WARNING = ModelWarning(code="not_tried", message="the model was not tried", advice="upload samples of its inputs")
VETTED_MANIFEST = ModelManifest(
    artifact=ONNX_FILE,
    inputs=(INPUT,),
    outputs=(OUTPUT,),
    parameters=1234,
    onnx=ONNX.model_copy(update={"parity_max_abs_diff": None}),
    warnings=(MODEL_WARNING,),
)
TRAFFIC = Traffic(versions={1: 90, 2: 10}, shadow=3)
ALIAS = Alias(alias="production", version=1, versions={1: 100}, shadow=None, updated_at=WHEN)
PREDICTION = Prediction(label="cat", score=0.75)
IMAGE_RESULT = ImageResult(predictions=(PREDICTION,))
IDENTIFIED_RESULT = IdentifiedResult(id="0123456789abcdef-0", predictions=(PREDICTION,))

SAMPLING = ReviewSampling(rate_per_day=50, mix=SamplingMix(margin=0.5, random=0.5, disagreement=0.0), votes=2)
SAMPLED_TODAY = SampledToday(seen=1000, margin=25, random=20)

EXAMPLES: tuple[Frozen, ...] = (
    SAMPLING.mix,
    SAMPLING,
    SAMPLED_TODAY,
    AliasSampling(
        **dict(SAMPLING),
        model="pet-cnn",
        alias="production",
        today=SAMPLED_TODAY,
        stored_bytes=1_048_576,
        created_at=WHEN,
        updated_at=WHEN,
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
    ModelCard(labels=LABELS, preprocessing=PREPROCESSING, output="probabilities", max_batch=1),
    MODEL_WARNING,
    PREDICTION,
    IDENTIFIED_RESULT,
    Mlp(name="mlp", hidden=(128, 64)),
    Cnn(),
    Airbench(name="airbench"),
    ResNet18(name="resnet18"),
    Layers(layers=(Conv(conv=8), Relu(relu=Empty()), GlobalAvgPool(globalavgpool=Empty()))),
    Adam(lr=0.01),
    Sgd(name="sgd", lr=0.1, momentum=0.5, weight_decay=0.0),
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
    Replicas(min=2, max=6, shards=8),
)
