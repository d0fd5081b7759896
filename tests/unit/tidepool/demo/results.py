"""A sample demo result for tests."""

from datetime import UTC, datetime

from contract.catalog import DatasetVersion, ModelVersion
from contract.choices import Choice
from contract.datasets import Counts, DatasetWarning
from contract.evaluation import ClassMetrics, EvaluationMetrics, Metrics
from contract.images import ImageSpec, Preprocessing
from contract.kinds.train import TrainResult
from contract.training import Epoch, OnnxInfo
from tidepool.demo.workflow import BatchResult, DemoResult, SamplePrediction

LABELS = ("cat", "dog")
SCORES = ClassMetrics(precision=0.5, recall=0.5, f1=0.5, support=10)
TEST = Metrics(
    accuracy=0.75,
    top5_accuracy=1.0,
    loss=0.6,
    confusion_matrix=((9, 1), (4, 6)),
    per_class=dict.fromkeys(LABELS, SCORES),
)


def demo_result(test: Metrics | None = TEST) -> DemoResult:
    onnx = OnnxInfo(sha256="0" * 64, size=1_500_000, opset=20, parity_max_abs_diff=1e-6)
    metrics = EvaluationMetrics(val=None, test=test)
    epochs = (
        Epoch(epoch=1, train_loss=0.9, val_loss=0.8, val_accuracy=0.5, seconds=3),
        Epoch(epoch=2, train_loss=0.7, val_loss=None, val_accuracy=None, seconds=4),
    )
    now, image = datetime(2026, 1, 1, tzinfo=UTC), ImageSpec()
    dataset = DatasetVersion(
        name="pets",
        version=3,
        job="j1",
        created_at=now,
        classes=LABELS,
        image=image,
        shape=image.shape,
        mean=(0.5,) * 3,
        std=(0.2,) * 3,
        counts=Counts(train=80, val=10, test=20),
        counts_by_class={"train": {"cat": 41, "dog": 39}},
        rejected=2,
        rejected_files=(),
        thumbnails=(),
        warnings=(
            DatasetWarning(
                code="duplicate_images", message="2 images are equal", count=2, examples=(), advice="remove one"
            ),
        ),
        decisions=(Choice(what="image.size", value=[32, 32], because="the images have [32] pixels"),),
    )
    model = ModelVersion(
        name="pets-cnn",
        version=1,
        job="j2",
        dataset="pets@3",
        created_at=now,
        labels=LABELS,
        aliases=("production",),
        preprocessing=Preprocessing(image=image, mean=dataset.mean, std=dataset.std),
        inputs=(),
        outputs=(),
        metrics=metrics,
        best_epoch=1,
        parameters=123_456,
        trained_on="cpu",
        provider="CPUExecutionProvider",
        onnx=onnx,
    )
    return DemoResult(
        dataset=dataset,
        model=model,
        trained=TrainResult(model="pets-cnn@1", metrics=metrics, epochs=epochs, best_epoch=1, onnx=onnx),
        singles=(
            SamplePrediction("test/cat/1.jpg", "cat", "cat", 0.9, 3.0),
            SamplePrediction("test/[/b]/2.jpg", "cat", "dog", 0.6, 2.0),
        ),
        batch=BatchResult(count=500, correct=400, seconds=0.25),
    )
