"""Searches over the settings of a training: what is tried, and the study that is kept with the best model."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StrictBool, StrictFloat, StrictInt, StringConstraints, Tag, model_validator

from contract.base import Frozen, Whole

MOST_TRIALS = 200
MOST_MEMBERS = 10  # of an ensemble
Scalar = StrictBool | StrictInt | StrictFloat | Annotated[str, StringConstraints(strict=True, max_length=63)]
Objective = Literal["val.accuracy", "val.macro_f1", "val.loss"]
EarlyStop = Literal["hyperband", "median", "none"]
TrialState = Literal["complete", "pruned", "failed", "cancelled", "open"]

GRADIENT_FIELDS = ("epochs", "optimizer", "schedule", "batch_size", "augment", "label_smoothing", "patience")
WHOLE_FIELDS = ("epochs", "batch_size", "patience")
SEARCHED = (
    "method",
    "init_from",
    "architecture.name",
    "architecture.width",
    "epochs",
    "batch_size",
    "optimizer.name",
    "optimizer.lr",
    "optimizer.weight_decay",
    "optimizer.momentum",
    "schedule",
    "label_smoothing",
    "class_weights",
    "patience",
    *(f"augment.{name}" for name in ("flip", "shift", "crop", "colour", "erase", "mix")),
)
_OTHERS = {
    "adam": ("momentum",),
    "resnet18": ("width", "hidden"),
    "airbench": ("width", "hidden"),
    "mlp": ("width",),
    "cnn": ("hidden",),
}


class Range(Frozen):
    """Values from `low` to `high`, both included; with `log`, each power of ten gets the same share of the trials."""

    low: Annotated[float, Field(strict=True)]
    high: Annotated[float, Field(strict=True)]
    log: StrictBool = False

    @model_validator(mode="after")
    def _is_a_range(self) -> "Range":
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; low must be less than high")
        if self.log and self.low <= 0:
            raise ValueError(f"low is {self.low:g}; with log it must be more than 0")
        return self


Choices = Annotated[tuple[Scalar, ...], Field(min_length=1, max_length=50)]


def _form(value: Any) -> str | None:
    if isinstance(value, dict | Range):
        return "range"
    return "choices" if isinstance(value, list | tuple) else None


Values = Annotated[
    Annotated[Range, Tag("range")] | Annotated[Choices, Tag("choices")],
    Discriminator(
        _form,
        custom_error_type="neither_range_nor_choices",
        custom_error_message='write a range as {"low": 0.001, "high": 0.1, "log": true}, or a list of values',
    ),
]


class Search(Frozen):
    """Train several times with different settings, and publish the best model with the study of all trials.

    `over` names fields of the training, such as `optimizer.lr`, with a range or a list of values for each. At most
    `parallel` trials are queued or running at a time; how many run depends on the replicas. After `minutes` no trial
    begins, and running trials end with their best epoch. No training is tried twice: with few values, there are fewer
    than `trials`. `objective` decides which trial is best. `early_stop` ends poor trials after an epoch: their
    validation accuracy, or loss for `val.loss`, is compared with other trials'. The published model may average the
    answers of up to `ensemble` trials, if together they are better on the validation images than the best one alone;
    its answers take as long as those of all its trials together.
    """

    trials: Annotated[int, Field(strict=True, ge=1, le=MOST_TRIALS)] = 16
    minutes: Annotated[float, Field(gt=0, le=7 * 1440)] | None = None
    over: dict[str, Values] = Field(min_length=1)
    objective: Objective = "val.accuracy"
    early_stop: EarlyStop = "hyperband"
    sampler: Literal["tpe", "random"] = "tpe"
    parallel: Annotated[int, Field(strict=True, ge=1, le=16)] = 4
    ensemble: Annotated[int, Field(strict=True, ge=1, le=MOST_MEMBERS)] = Field(
        default=1, exclude_if=lambda ensemble: ensemble == 1
    )

    @model_validator(mode="after")
    def _searches_fields_of_a_training(self) -> "Search":
        for name, values in self.over.items():
            if name not in SEARCHED:
                raise ValueError(f"over.{name} is not a field that can be searched; name one of {', '.join(SEARCHED)}")
            if isinstance(values, Range):
                if name in WHOLE_FIELDS and not (values.low.is_integer() and values.high.is_integer()):
                    raise ValueError(f"over.{name} has whole numbers; write low and high without a fraction")
            elif len(set(map(repr, values))) != len(values):
                raise ValueError(f"over.{name} has a value twice; leave one out")
        return self

    def samples(self) -> dict[str, tuple[Scalar, ...]]:
        """Return the values of each field that say whether all are valid: both ends of a range, or every choice."""
        return {
            name: (_number(name, values.low), _number(name, values.high)) if isinstance(values, Range) else values
            for name, values in self.over.items()
        }


def _number(name: str, value: float) -> int | float:
    return int(value) if name in WHOLE_FIELDS else value


def with_parameters(fields: Mapping[str, Any], parameters: Mapping[str, Scalar], optimizer: str) -> dict[str, Any]:
    """Return the fields of a training, without those that are None, with the parameters of a trial.

    A parameter that does not apply to the method, the architecture or the optimizer of another parameter is left out.
    `optimizer` is used if neither names one.
    """
    result = {name: value for name, value in fields.items() if value is not None}
    needless = {"probe": (*GRADIENT_FIELDS, "architecture"), "fine_tune": ("architecture",), "scratch": ("init_from",)}
    for name, value in parameters.items():
        field, _, inner = name.partition(".")
        if field in needless.get(str(parameters.get("method")), ()):
            continue
        before = result.get(field)
        group = before if isinstance(before, dict) else {}
        result[field] = group | {inner: value} if inner else value
    for field, default in (("optimizer", optimizer), ("architecture", "cnn")):
        settings = result.get(field)
        if isinstance(settings, dict) and "layers" not in settings:
            named = {"name": default} | settings
            others = _OTHERS.get(named["name"], ())
            searched = {inner for inner in others if f"{field}.{inner}" in parameters or f"{field}.name" in parameters}
            result[field] = {inner: setting for inner, setting in named.items() if inner not in searched}
    return result


class Scores(Frozen):
    """The numbers by which trials are compared, measured on images that they have not seen; `loss` is in nats."""

    accuracy: float
    macro_f1: float
    loss: float

    def of(self, objective: Objective) -> float:
        """Return the value of an objective, which is `val.` and the name of a score."""
        value: float = getattr(self, objective.partition(".")[2])
        return value


class StudyTrial(Frozen):
    """A trial of a search: `value` is that of the objective, `epochs` is how many it has trained."""

    number: Whole
    job: str
    state: TrialState
    parameters: dict[str, Scalar]
    value: float | None = None
    epochs: Whole = 0
    seconds: float | None = None
    error: str | None = None


class Study(Frozen):
    """What a search has tried. `best` is the number of the trial whose model was published.

    `members` are the numbers of the trials whose answers the published model averages, the best first; empty if it is
    the best alone.
    `importance` is the share (0..1) of each parameter in how much the objective varies, by the PED-ANOVA of Watanabe,
    Bansal and Hutter, 2023; empty with fewer than two complete trials.
    """

    objective: Objective
    maximize: bool
    best: Whole
    parameters: dict[str, Scalar]
    trials: tuple[StudyTrial, ...]
    members: tuple[Whole, ...] = Field(default=(), exclude_if=lambda members: not members)
    importance: dict[str, float] = Field(default_factory=dict)
    ended: str

    @property
    def members_text(self) -> str:
        """Name the members for people, such as `trials 4, 7 and 1`."""
        return trials_text(self.members)


def trials_text(numbers: Sequence[int]) -> str:
    """Name at least two trials for people."""
    return f"trials {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


class Spread(Frozen):
    """The mean of a metric over the folds, and its standard deviation (of a sample)."""

    mean: float
    deviation: float


class Fold(Frozen):
    """One of `of` folds, counted from 0: the part of the training images that this training does not see."""

    number: Whole
    of: Annotated[int, Field(strict=True, ge=2, le=20)]


class FoldReport(Frozen):
    """How good trainings are on the part of the training images that each has not seen.

    The published model is one more training, on all training images.
    """

    folds: Whole
    accuracy: Spread
    macro_f1: Spread
    loss: Spread
    accuracies: tuple[float, ...]
