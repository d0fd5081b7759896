"""Reports on models."""

from contract.base import Frozen
from contract.datasets import Split
from contract.evaluation import (
    Baseline,
    ClassComparison,
    Comparison,
    Confusion,
    EvaluationReport,
    JudgedImage,
    LabelError,
    SlowImage,
    Temperature,
    TrainingImages,
    UnknownThreshold,
)
from contract.jobs import JobKind
from contract.kinds.evaluate import EvaluateRequest, EvaluateResult, EvaluateSpec, EvaluationOutput
from contract.kinds.predict import OutputInfo
from tests.examples.base import ROWS_FILE
from tests.examples.models import METRICS

EVALUATE_SPEC = EvaluateSpec(model="pet-cnn@2", dataset="pets@1", compare_with="pet-cnn@1")
JUDGED_IMAGE = JudgedImage(
    image=1, sha256="f" * 64, path="test/dog/1.jpg", label="dog", predicted="cat", score=0.75, label_score=0.25
)
CONFUSION = Confusion(label="dog", predicted="cat", count=1, examples=(JUDGED_IMAGE,))
LABEL_ERROR = LabelError(**JUDGED_IMAGE.model_dump(), suggested="cat", margin=-0.5)
SLOW_IMAGE = SlowImage(image=3, sha256="c" * 64, path="train/cat/3.jpg", label="cat", loss=2.5)
TRAINING_IMAGES = TrainingImages(
    judged=80, accuracy=0.95, label_errors=(LABEL_ERROR,), label_error_count=1, slowest=(SLOW_IMAGE,)
)
BASELINE = Baseline(model="pet-cnn@1", metrics=METRICS)
COMPARISON = Comparison(
    better=1,
    worse=0,
    both_right=1,
    both_wrong=0,
    test="exact",
    p_value=1.0,
    statement="pet-cnn@2 is better than pet-cnn@1 on 1 image and worse on 0",
    by_class={"cat": ClassComparison(better=1, worse=0)},
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
OUTPUT_INFO = OutputInfo(size=ROWS_FILE.size, sha256=ROWS_FILE.sha256)

EXAMPLES: tuple[Frozen, ...] = (
    OUTPUT_INFO,
    EVALUATE_SPEC,
    EvaluateRequest(kind=JobKind("evaluate"), spec=EVALUATE_SPEC),
    JUDGED_IMAGE,
    CONFUSION,
    LABEL_ERROR,
    SLOW_IMAGE,
    TRAINING_IMAGES,
    BASELINE,
    COMPARISON,
    TEMPERATURE,
    UNKNOWN_THRESHOLD,
    EVALUATION_REPORT,
    EvaluationOutput(artifact=ROWS_FILE, report=EVALUATION_REPORT),
    EvaluateResult(**dict(EVALUATION_REPORT), output=OUTPUT_INFO),
)
