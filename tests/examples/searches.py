"""Searches, their trials and studies, and cross-validations."""

from contract.base import Frozen
from contract.division import NewChild, Waiting
from contract.jobs import JobKind
from contract.kinds.trial import TrialOutcome, TrialRequest, TrialSpec
from contract.search import Fold, FoldReport, Range, Scores, Search, Spread, Study, StudyTrial
from tests.examples.base import IMAGES_FILE, JOB_ID
from tests.examples.jobs import TRAIN_SPEC
from tests.examples.models import MODEL_MANIFEST

RATE = Range(low=0.001, high=0.1, log=True)
SEARCH = Search(trials=8, minutes=5, over={"optimizer.lr": RATE, "architecture.name": ("cnn", "resnet18")})
FOLD = Fold(number=1, of=5)
TRIAL_SPEC = TrialSpec(training=TRAIN_SPEC, study=JOB_ID, number=3, parameters={"optimizer.lr": 0.01})
SCORES = Scores(accuracy=0.75, macro_f1=0.7, loss=0.5)
TRIAL_OUTCOME = TrialOutcome(
    value=0.75,
    scores=SCORES,
    epochs=MODEL_MANIFEST.epochs,
    best_epoch=1,
    method="scratch",
    label="training from scratch",
    device="cpu",
    state=IMAGES_FILE,
)
STUDY_TRIAL = StudyTrial(
    number=3, job=JOB_ID, state="complete", parameters=TRIAL_SPEC.parameters, value=0.75, epochs=1, seconds=2.5
)
STUDY = Study(
    objective="val.accuracy",
    maximize=True,
    best=3,
    parameters=TRIAL_SPEC.parameters,
    trials=(STUDY_TRIAL,),
    importance={"optimizer.lr": 1.0},
    ended="all 8 trials have ended",
)
SPREAD = Spread(mean=0.75, deviation=0.05)
FOLD_REPORT = FoldReport(folds=2, accuracy=SPREAD, macro_f1=SPREAD, loss=SPREAD, accuracies=(0.7, 0.8))

EXAMPLES: tuple[Frozen, ...] = (
    RATE,
    SEARCH,
    FOLD,
    TRIAL_SPEC,
    TrialRequest(kind=JobKind.TRIAL, spec=TRIAL_SPEC),
    SCORES,
    TRIAL_OUTCOME,
    STUDY_TRIAL,
    STUDY,
    SPREAD,
    FOLD_REPORT,
    NewChild(number=3, spec={"number": 3}),
    Waiting(kind="trial", seen=2, fraction=0.25, message="3 of 8 trials have ended"),
)
