"""Decides how to train from the request and the data: pure functions, so that the same data give the same training.

Without a budget, work is counted in pixels and steps, never measured, so a training can be repeated bit for bit.
"""

from dataclasses import dataclass

from contract.choices import Choice
from contract.kinds.train import TrainSpec
from contract.training import BACKBONE_NAMES, RECIPES, Airbench, Augment, Cnn, Method, Sgd
from services.trainer.recipe import Recipe

DEFAULT_BACKBONE = BACKBONE_NAMES[0]
PIXELS = 180_000 * 32 * 32  # in a training from scratch of about a minute on two cores
EPOCHS = 40  # of a training from scratch that is not cut short
HALVED_SIDE = 32  # of the smallest images that are seen at half size first
HALVED_STEPS, HALVED_COST = 0.5, 0.3  # share of the steps that are at half size, and time of one as a share of others'
FEWEST_EPOCHS = 3
FEWEST_STEPS = 600  # small sets are repeated until the network has taken this many steps
MOST_EPOCHS = 300
SIDES = (64, 48, 32)  # the largest sides that a network from scratch sees, best first
MANY_IMAGES, FEW_PIXELS = 20_000, 48 * 48  # over the one and up to the other, features cost more than training
FEATURE_IMAGES = 8_000  # that a probe sees, at most, without a budget; 200 a second on two cores
FEATURE_RATE = 200
PIXEL_RATE = 2_700 * 32 * 32  # a second in training of the small CNN on two cores
TRIAL_BATCH = 32
WIDTH_COST = {4: 8, 2: 3, 1: 1}
BUDGET_EPOCHS = 10  # a wider network is worth it if it can see the images so often
AIRBENCH_COST, AIRBENCH_EPOCHS = 5, 3  # a budget for so many passes over MANY_IMAGES or more is best spent on airbench
IMBALANCE = 50  # times as many images in the largest class as in the smallest one


@dataclass(frozen=True)
class Facts:
    """What is known of the data: `shape` is (channels, height, width), `counts` the training images of each class."""

    shape: tuple[int, int, int]
    counts: tuple[int, ...]

    @property
    def train(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True)
class Plan:
    """The ways to try, in this order: a probe of the network `start`, a short trial from scratch, and a method.

    `method` None means that the trial decides between `scratch` and what the budget allows.
    """

    method: Method | None
    start: str | None
    probe: bool
    because: str

    @property
    def trial(self) -> bool:
        """Whether a short training from scratch is compared with the probe."""
        return self.method is None


def plan(  # noqa: PLR0911
    spec: TrainSpec, facts: Facts, same_classes: bool = False, backbone: bool = False, frozen: bool = False
) -> Plan:
    """Return the ways to try; `same_classes` if `init_from` is a model with the classes of the dataset.

    `backbone` if it is a backbone that a person brought, and `frozen` if that cannot be trained.
    """
    if spec.architecture is not None:
        return Plan("scratch", None, False, "the request names an architecture")
    if spec.method == "scratch":
        return Plan("scratch", None, False, "the request says so")
    start = spec.init_from or DEFAULT_BACKBONE
    if spec.method == "probe":
        return Plan("probe", start, True, "the request says so")
    if frozen:
        return Plan("probe", start, True, f"{start} is an ONNX file, which cannot be fine-tuned")
    if spec.method == "fine_tune":
        return Plan("fine_tune", start, not same_classes, "the request says so")
    if spec.init_from is not None and spec.init_from not in BACKBONE_NAMES and not backbone:
        return Plan("fine_tune", start, not same_classes, f"the request starts from {start}")
    if spec.init_from is not None:
        method: Method = "fine_tune" if spec.budget else "probe"
        time = "the budget allows to train all of it" if spec.budget else "there is no budget to train all of it"
        return Plan(method, start, True, f"the request starts from {start}, and {time}")
    fields = [name for name in ("epochs", "optimizer", "schedule", "batch_size") if getattr(spec, name) is not None]
    if fields and spec.budget is None:
        return Plan("scratch", None, False, f"the request has {fields[0]} and no method")
    _, height, width = facts.shape
    if facts.train >= MANY_IMAGES and height * width <= FEW_PIXELS:
        small = f"{facts.train:,} training images of {width}×{height} pixels are enough to train from scratch"
        return Plan("scratch", None, False, small)
    return Plan(None, start, True, "")


def scratch(spec: TrainSpec, facts: Facts, seconds: float | None = None) -> Recipe:
    """Return the recipe from scratch for `seconds`, or for about a minute.

    If that is too short for EPOCHS, the images are seen at half size first, so that they are seen more often (Howard,
    "Training Imagenet in 3 hours for 25 minutes", 2018): CIFAR-10 in the time of 1.75 epochs, 77.0 % right, not 73.8 %.
    With a budget, a larger network gets more right: docs/adr/0061 compares them on CIFAR-10 in ten minutes.
    """
    if spec.architecture is not None:
        return Recipe.of(spec, seconds=seconds, class_weights=balance(facts))
    channels, height, width = facts.shape
    count = max(facts.train, 1)
    wanted = PIXELS if seconds is None else PIXEL_RATE * seconds
    factors = [min(-(-max(height, width) // side), height, width) for side in SIDES]
    fitting = (k for k in factors if count * (height // k) * (width // k) * EPOCHS <= wanted)
    shrink = next(fitting, factors[-1])
    pixels = count * (height // shrink) * (width // shrink)
    augment, class_weights = Augment(flip=channels > 1), balance(facts)
    if seconds is not None and count >= MANY_IMAGES and wanted / pixels >= AIRBENCH_COST * AIRBENCH_EPOCHS:
        return Recipe.of(
            spec,
            architecture=Airbench(name="airbench"),
            shrink=shrink,
            seconds=seconds,
            augment=augment,
            class_weights=class_weights,
        )
    batch_size = 128 if count >= 2_000 else 64 if count >= 500 else 32
    repeats = min(-(-FEWEST_STEPS * batch_size // count), MOST_EPOCHS)
    epochs = max(min(int(wanted / pixels), EPOCHS), FEWEST_EPOCHS, repeats)
    cnn_width = 1
    if seconds is not None:
        fewest = max(BUDGET_EPOCHS, repeats)
        cnn_width = next((w for w, cost in WIDTH_COST.items() if wanted / pixels / cost >= fewest), 1)
    halved, scarce = 0.0, wanted / pixels / WIDTH_COST[cnn_width] < EPOCHS
    # With `patience`, the epoch in which the size changes could end the training.
    if scarce and min(height, width) // shrink >= HALVED_SIDE and spec.epochs is None and spec.patience is None:
        epoch = 1 - HALVED_STEPS * (1 - HALVED_COST)
        halved = HALVED_STEPS if seconds is None else HALVED_STEPS * HALVED_COST / epoch
        epochs = int(epochs / epoch)
    return Recipe.of(
        spec,
        architecture=Cnn(width=cnn_width),
        shrink=shrink,
        halved=halved,
        epochs=epochs,
        seconds=seconds,
        batch_size=batch_size,
        optimizer=Sgd(name="sgd", lr=RECIPES["cnn"]["optimizer"]["lr"] * batch_size / 128),
        augment=augment,
        class_weights=class_weights,
    )


def trial(spec: TrainSpec, facts: Facts) -> Recipe:
    """Return the recipe of the trial: a quarter of the epochs, on the smallest images, in a twelfth of the pixels.

    Small batches learn more from as few images: photos of clothes, 4 epochs, 74 % in batches of 32, 52 % of 128.
    """
    recipe = scratch(spec, facts)
    _, height, width = facts.shape
    shrink = min(-(-max(height, width) // SIDES[-1]), height, width)
    pixels = max(facts.train, 1) * (height // shrink) * (width // shrink)
    most = max(PIXELS // 12 // pixels, FEWEST_EPOCHS)
    epochs = min(max(recipe.epochs // 4, FEWEST_EPOCHS), most)
    changes: dict[str, object] = {"epochs": epochs, "shrink": shrink, "halved": 0.0}
    if spec.batch_size is None and spec.optimizer is None and recipe.batch_size > TRIAL_BATCH:
        rate = recipe.optimizer.lr * TRIAL_BATCH / recipe.batch_size
        changes |= {"batch_size": TRIAL_BATCH, "optimizer": recipe.optimizer.model_copy(update={"lr": rate})}
    return recipe.model_copy(update=changes)


def fine_tune(spec: TrainSpec, facts: Facts, start: str, seconds: float | None = None) -> Recipe:
    """Return the recipe that trains the body at a tenth of the head's rate, from the head of the probe.

    Batch normalization keeps the statistics of the pretrained network: batches of 32 are too small for new ones.
    """
    return Recipe.of(
        spec,
        start=start,
        epochs=5,
        seconds=seconds,
        batch_size=32,
        optimizer={"name": "adam", "lr": 1e-3, "weight_decay": 0.0},
        body_rate=0.1,
        batch_statistics=False,
        schedule="onecycle",
        label_smoothing=0.1,
        augment=Augment(flip=facts.shape[0] > 1, crop=0.3, colour=0.2),
        class_weights=balance(facts),
    )


def most_features(spec: TrainSpec) -> int:
    """Return the images of a split that a probe sees at most: those of a quarter of the budget, or FEATURE_IMAGES."""
    return max(int(FEATURE_RATE * 60 * spec.budget.minutes / 4), 1_000) if spec.budget else FEATURE_IMAGES


def balance(facts: Facts) -> str:
    """Return the class weights: balanced if the classes differ by more than IMBALANCE times."""
    counts = [count for count in facts.counts if count]
    return "balanced" if counts and max(counts) > IMBALANCE * min(counts) else "none"


def hopeless(trial: float, probe: float) -> bool:
    """Return whether to end the trial after half of its epochs, given the validation accuracies so far.

    It then makes 1.5 times as many errors as are worth a full training. On seven data sets, the trials that were worth
    one made at most 0.94 times as many by then, the others at least 1.96 times as many.
    """
    return probe < 1 and 1 - trial > 1.5 * _worth(probe)


def worth_training(trial: float, probe: float) -> bool:
    """Return whether a full training from scratch may beat the probe, given their validation accuracies.

    A full training is assumed to make at least half the errors of the trial; a probe without errors cannot be beaten.
    Photos of clothes: 70 % in the trial, 78 % in full, 90 % with the probe.
    """
    return probe < 1 and 1 - trial <= _worth(probe)


def _worth(probe: float) -> float:
    """Return the share of errors that a trial worth a full training makes at most."""
    return 2 * (1 - probe + 0.01)


def choices(spec: TrainSpec, recipe: Recipe, facts: Facts) -> tuple[Choice, ...]:
    """Return the decisions of a training by gradient descent that the request left open, each with its reason."""
    minute = "so that two cores take about a minute" if recipe.seconds is None else "so that it fits the budget"
    count = f"{facts.train:,} training images"
    fixed = spec.architecture is not None
    reasons: list[tuple[str, object, str]] = [
        ("batch_size", recipe.batch_size, f"that many for {count}"),
        ("optimizer", recipe.optimizer.model_dump(), "the usual rate of this method for this batch size"),
        ("schedule", recipe.schedule, "a rise and a fall of the rate need fewer steps than a constant one"),
        ("label_smoothing", recipe.label_smoothing, "keeps the network from being too sure of its training images"),
        ("augment", recipe.augment and recipe.augment.model_dump(), _augmentation(recipe, facts)),
        ("class_weights", recipe.class_weights, _balance_reason(recipe, facts)),
    ]
    if recipe.start is None and not fixed:
        shrunk = f", and averages {recipe.shrink}×{recipe.shrink} pixels first" if recipe.shrink > 1 else ""
        halved = ", and sees images of half the size first, which take less time" if recipe.halved else ""
        small = "the small residual network is the best for its time"
        few = "this network learns the most from a few passes over many small images"
        because = f"{few if isinstance(recipe.architecture, Airbench) else small}{shrunk}{halved}"
        reasons.insert(0, ("architecture", recipe.architecture.model_dump(), because))
    if recipe.seconds is None:
        reasons.append(("epochs", recipe.epochs, f"{count}, {minute}"))
    return tuple(
        Choice(what=what, value=value, because=because)
        for what, value, because in reasons
        if what == "architecture" or getattr(spec, what) is None
    )


def _augmentation(recipe: Recipe, facts: Facts) -> str:
    if recipe.augment is None:
        return "the recipe of this architecture has none"
    if not recipe.augment.flip:
        return "grey images are often letters, digits or scans, which change their meaning when they are mirrored"
    return "photos mean the same when they are mirrored and moved a little; turn flip off if yours do not"


def _balance_reason(recipe: Recipe, facts: Facts) -> str:
    counts = [count for count in facts.counts if count] or [0]
    sizes = f"the largest class has {max(counts):,} training images and the smallest {min(counts):,}"
    factor = "over" if recipe.class_weights == "balanced" else "not over"
    return f"{sizes}, which is {factor} {IMBALANCE} times as many"
