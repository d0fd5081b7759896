"""How a training is decided from the request and the data."""

import pytest

from contract.kinds.train import TrainSpec
from contract.training import Augment
from services.trainer import decisions
from services.trainer.decisions import Facts, fine_tune, hopeless, plan, scratch, trial, worth_training
from tests.support.training_data import spec_of

PHOTOS = Facts((3, 224, 224), (300,) * 10)
CIFAR = Facts((3, 32, 32), (4_500,) * 10)
DIGITS = Facts((1, 28, 28), (150,) * 10)


@pytest.mark.parametrize(
    ("facts", "fields", "method", "start", "probes"),
    [
        (PHOTOS, {}, None, "lite0", True),
        (DIGITS, {}, None, "lite0", True),
        (CIFAR, {}, "scratch", None, False),
        (PHOTOS, {"budget": {"minutes": 10}}, None, "lite0", True),
        (PHOTOS, {"architecture": {"name": "cnn"}}, "scratch", None, False),
        (PHOTOS, {"epochs": 5}, "scratch", None, False),
        (PHOTOS, {"epochs": 5, "method": "fine_tune"}, "fine_tune", "lite0", True),
        (PHOTOS, {"method": "probe"}, "probe", "lite0", True),
        (PHOTOS, {"method": "scratch"}, "scratch", None, False),
        (PHOTOS, {"init_from": "lite0"}, "probe", "lite0", True),
        (PHOTOS, {"init_from": "lite0", "budget": {"minutes": 1}}, "fine_tune", "lite0", True),
        (PHOTOS, {"init_from": "pets@3"}, "fine_tune", "pets@3", True),
        (PHOTOS, {"init_from": "pets@3", "method": "probe"}, "probe", "pets@3", True),
    ],
)
def test_the_method_follows_from_request_and_data(
    facts: Facts, fields: dict[str, object], method: str | None, start: str | None, probes: bool
) -> None:
    decided = plan(spec_of(**fields), facts)

    assert (decided.method, decided.start, decided.probe) == (method, start, probes)


def test_a_model_with_the_same_classes_keeps_its_head() -> None:
    assert not plan(spec_of(init_from="pets@3"), PHOTOS, same_classes=True).probe


def test_an_architecture_has_its_own_recipe() -> None:
    recipe = scratch(spec_of(architecture={"name": "cnn"}), PHOTOS)

    assert (recipe.epochs, recipe.batch_size, recipe.shrink, recipe.augment) == (40, 128, 1, Augment())


@pytest.mark.parametrize(
    ("facts", "shrink", "epochs"),
    [
        (Facts((3, 32, 32), (450,) * 10), 1, 40),
        (CIFAR, 1, 6),
        (Facts((3, 100, 100), (165,) * 10), 2, 40),
        (Facts((3, 224, 224), (307,) * 10), 7, 40),
        (Facts((1, 8, 8), (20,) * 3), 1, 300),
        (Facts((3, 224, 3), (20,) * 3), 3, 300),
    ],
)
def test_training_from_scratch_takes_about_a_minute(facts: Facts, shrink: int, epochs: int) -> None:
    recipe = scratch(spec_of(), facts)

    assert (recipe.shrink, recipe.epochs) == (shrink, epochs)


@pytest.mark.parametrize(
    ("facts", "fields", "seconds", "halved"),
    [
        (CIFAR, {}, None, 0.5),
        (CIFAR, {"budget": {"minutes": 1}}, 57, pytest.approx(0.15 / 0.65)),
        (CIFAR, {"epochs": 5}, None, 0.0),
        (CIFAR, {"budget": {"minutes": 1}, "patience": 1}, 57, 0.0),
        (CIFAR, {"architecture": {"name": "cnn"}}, None, 0.0),
        (CIFAR, {"budget": {"minutes": 60}}, 36_000, 0.0),
        (Facts((3, 32, 32), (450,) * 10), {}, None, 0.0),
        (Facts((1, 28, 28), (6_000,) * 10), {}, None, 0.0),
    ],
)
def test_many_images_are_seen_at_half_size_first(
    facts: Facts, fields: dict[str, object], seconds: float | None, halved: float
) -> None:
    assert scratch(spec_of(**fields), facts, seconds).halved == halved
    assert trial(spec_of(**fields), facts).halved == 0 or "architecture" in fields


def test_a_budget_allows_a_wider_network() -> None:
    few = Facts((3, 32, 32), (1_500,) * 10)

    recipes = [scratch(spec_of(), few, seconds) for seconds in (100, 200, 600)]

    assert [recipe.architecture.width for recipe in recipes] == [1, 2, 4]


@pytest.mark.parametrize(("seconds", "name"), [(240, "cnn"), (260, "airbench")])
def test_a_budget_for_a_few_passes_over_many_images_is_for_airbench(seconds: float, name: str) -> None:
    recipe = scratch(spec_of(), CIFAR, seconds)

    assert recipe.architecture.name == name
    assert (recipe.batch_size, recipe.optimizer.lr) == ((512, 0.75) if name == "airbench" else (128, 0.3))
    assert recipe.seconds == seconds


def test_a_budget_for_grey_images_does_not_mirror_them() -> None:
    recipe = scratch(spec_of(), Facts((1, 28, 28), (6_000,) * 10), 590)

    assert (recipe.architecture.name, recipe.augment.flip) == ("airbench", False)


def test_a_wider_network_takes_as_many_steps_as_a_narrow_one() -> None:
    recipe = scratch(spec_of(), Facts((3, 36, 40), (46, 46, 47)), 45)

    assert recipe.architecture.width == 2


@pytest.mark.parametrize(("images", "epochs"), [(500, 19), (3_000, 5), (100_000, 3)])
def test_the_trial_is_short_and_in_small_batches(images: int, epochs: int) -> None:
    facts = Facts((3, 32, 32), (images // 10,) * 10)
    full, short = scratch(spec_of(), facts), trial(spec_of(), facts)

    assert (short.epochs, short.batch_size) == (epochs, 32)
    assert short.optimizer.lr / short.batch_size == pytest.approx(full.optimizer.lr / full.batch_size)


def test_the_trial_keeps_the_batch_size_and_optimizer_of_the_request() -> None:
    facts = Facts((3, 32, 32), (300,) * 10)

    assert trial(spec_of(batch_size=256), facts).batch_size == 256
    assert trial(spec_of(optimizer={"name": "adam", "lr": 0.01}), facts).optimizer.lr == 0.01


@pytest.mark.parametrize(
    ("trial", "probe", "worth"),
    [
        (0.55, 0.89, False),
        (0.96, 0.93, True),
        (0.2, 0.68, False),
        (0.985, 1.0, False),
        (0.985, 0.995, True),
        (0.9, 1.0, False),
        (0.7, 0.897, False),
    ],
)
def test_a_trial_far_behind_is_not_continued(trial: float, probe: float, worth: bool) -> None:
    assert worth_training(trial, probe) is worth


@pytest.mark.parametrize(
    ("half", "probe", "ends"),
    [(0.557, 0.897, True), (0.7, 0.897, False), (0.95, 0.983, False), (0.738, 0.975, True), (0.9, 1.0, False)],
)
def test_a_trial_ends_halfway_if_it_cannot_catch_up(half: float, probe: float, ends: bool) -> None:
    assert hopeless(half, probe) is ends


def test_given_fields_are_kept_and_not_decided() -> None:
    spec = spec_of(method="fine_tune", batch_size=8, augment={"flip": False}, class_weights="balanced")
    recipe = fine_tune(spec, PHOTOS, "lite0")

    assert (recipe.batch_size, recipe.augment, recipe.class_weights) == (8, Augment(flip=False), "balanced")
    decided = {choice.what for choice in decisions.choices(spec, recipe, PHOTOS)}
    assert decided == {"optimizer", "schedule", "label_smoothing", "epochs"}


@pytest.mark.parametrize("spec", [spec_of(), spec_of(architecture={"name": "resnet18"})])
@pytest.mark.parametrize(
    ("smallest", "weights", "words"),
    [(40, "none", "not over 50 times as many"), (39, "balanced", "over 50 times as many")],
)
def test_class_weights_follow_from_the_sizes_of_the_classes(
    spec: TrainSpec, smallest: int, weights: str, words: str
) -> None:
    facts = Facts((1, 28, 28), (2_000, smallest))

    choices = decisions.choices(spec, scratch(spec, facts), facts)

    choice = next(choice for choice in choices if choice.what == "class_weights")
    assert choice.value == weights
    sizes = f"the largest class has 2,000 training images and the smallest {smallest}"
    assert choice.because == f"{sizes}, which is {words}"


def test_grey_images_are_not_mirrored_and_rare_classes_count_more() -> None:
    recipe = scratch(spec_of(), Facts((1, 28, 28), (2_000, 10)))

    assert recipe.augment is not None
    assert not recipe.augment.flip
    assert recipe.class_weights == "balanced"
