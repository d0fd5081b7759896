"""Pipelines and their runs."""

from contract.base import Frozen
from contract.evaluation import ClassComparison
from contract.pipelines import (
    ClassChange,
    Gate,
    GateDecision,
    Pipeline,
    PipelineChange,
    PipelineRequest,
    PipelineRun,
    RunState,
    When,
)
from tests.examples.base import JOB_ID, WHEN

CLASS_CHANGE = ClassChange(
    label="dog", images=500, accuracy=0.95, champion_accuracy=0.9, better=30, worse=5, chance=0.99
)
GATE_DECISION = GateDecision(
    passed=True,
    reason="pet-cnn@2 is right on 93 % of 1,000 images, pet-cnn@1 on 90 %: better by 3 points",
    notes=("'owl' falls by 20 points, but on 5 images only: 1 lost, 0 gained",),
    images=1000,
    accuracy=0.93,
    champion_accuracy=0.9,
    better=40,
    worse=10,
    at_least=0.02,
    chance=0.001,
    classes=(CLASS_CHANGE,),
)
PIPELINE_REQUEST = PipelineRequest(
    name="pets-nightly",
    model="pet-cnn",
    dataset="pets",
    when=When(cron="0 3 * * *", labels=200, drift=True),
    train={"budget": {"minutes": 20}},
    shadow_hours=24.0,
)
PIPELINE_RUN = PipelineRun(
    id=JOB_ID,
    pipeline="pets-nightly",
    state=RunState.PROMOTED,
    step="evaluate",
    trigger="labels",
    reason=GATE_DECISION.reason,
    notes=GATE_DECISION.notes,
    labels=214,
    champion="pet-cnn@1",
    dataset="pets@2",
    candidate="pet-cnn@2",
    revise_job=JOB_ID,
    train_job=JOB_ID,
    evaluate_job=JOB_ID,
    gate=GATE_DECISION,
    started_at=WHEN,
    ended_at=WHEN,
)

EXAMPLES: tuple[Frozen, ...] = (
    ClassComparison(better=30, worse=5),
    CLASS_CHANGE,
    Gate(),
    GATE_DECISION,
    PIPELINE_REQUEST.when,
    PIPELINE_REQUEST,
    PipelineChange(paused=True),
    PIPELINE_RUN,
    Pipeline(
        **dict(PIPELINE_REQUEST),
        paused=False,
        next_run_at=WHEN,
        schedule="At 03:00 every day",
        last_run=PIPELINE_RUN,
        warning="with 25 test images and a champion at 92 %, no candidate can pass; about 63 test images are needed",
        created_at=WHEN,
    ),
)
