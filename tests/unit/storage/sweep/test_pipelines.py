"""Pipelines: what a run does step by step, what starts it, and how it ends."""

from typing import Any

import pytest

from contract.catalog import Traffic
from contract.datasets import Split
from contract.errors import Conflict
from contract.kinds.revise import RevisedDataset
from contract.pipelines import RunState
from contract.references import Reference
from services.storage.access.audit import AuditFilter
from services.storage.screens.serving import ServingScreen
from services.storage.sweep.pipeline_steps import MOST_REPEATS
from tests.examples import TRAIN_REQUEST
from tests.support.clock import FakeClock
from tests.support.comparisons import BETTER, EVEN, WORSE, WORSE_ON_DOGS, Counts
from tests.support.pipelines import CATS, PETS, PipelineWorld, revised, with_pipeline

DAY_S = 86400.0


def test_a_better_candidate_is_promoted_and_rolled_back(world: PipelineWorld) -> None:
    # given two reviewed images
    world.review(2)

    # when a run makes a version of them, trains from the champion, and compares
    world.begin()
    revise = world.stores.jobs.get(str(world.run.revise_job))
    assert (revise.spec["parent"], revise.spec["reviews"], revise.spec["test_split"]) == ("pets@1", "all", "frozen")
    assert world.run.reason == "makes the next version of pets@1 from 2 reviewed images"
    world.revise()
    world.runner.advance()
    train = world.stores.jobs.get(str(world.run.train_job))
    assert (train.spec["dataset"], train.spec["init_from"]) == ("pets@2", "pet-cnn@1")
    world.train()
    world.runner.advance()
    evaluate = world.stores.jobs.get(str(world.run.evaluate_job))
    names = ("model", "compare_with", "dataset", "split")
    assert [evaluate.spec[name] for name in names] == ["pet-cnn@2", "pet-cnn@1", "pets@2", "test"]
    world.evaluate(BETTER)
    world.runner.advance()

    # then the candidate is in production, by the pipeline, and every job says where it comes from
    run = world.run
    assert (run.state, run.candidate, run.labels) == (RunState.PROMOTED, "pet-cnn@2", 2)
    assert run.reason.endswith("no class is shown to fall by more than 5 points")
    assert run.gate is not None
    assert run.gate.passed
    assert world.production == {2: 100}
    assert world.kinds() == ["revise", "train", "evaluate"]
    promoted = world.stores.audit.list(AuditFilter(subject="models/pet-cnn@production"), 5).items[0]
    assert (promoted.actor_name, promoted.action, promoted.detail) == ("pipeline:nightly", "promote", "version 2")
    assert world.stores.reviews.answered() == ()

    # and the console rolls it back to what the audit trail has before
    latest, before = ServingScreen(world.database, "default").changes("pet-cnn")["production"][:2]
    assert (latest.who, before.traffic) == ("pipeline:nightly", Traffic(versions={1: 100}))
    world.stores.models.split_alias("pet-cnn", "production", before.traffic or Traffic(versions={2: 100}))
    assert world.production == {1: 100}


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (WORSE, "worse by 3.4 points"),
        (EVEN, "not better"),
        (WORSE_ON_DOGS, "but it is worse on 'dog'"),
        ({"cat": (50, 40, 4, 1)}, "too few images"),
    ],
)
def test_another_candidate_is_not_promoted_and_the_reason_is_kept(
    world: PipelineWorld, counts: Counts, reason: str
) -> None:
    run = world.run_through(counts)

    assert run.state is RunState.REJECTED
    assert reason in run.reason
    assert world.production == {1: 100}


def test_a_run_without_new_labels_and_drift_trains_nothing(world: PipelineWorld) -> None:
    world.begin()

    assert world.run.state is RunState.UNCHANGED
    assert world.run.reason == (
        "there is nothing new to learn from: pet-cnn@1 was trained on pets@1, no reviewed images change that, and its "
        "requests do not drift"
    )
    assert world.kinds() == []


def test_answers_that_only_confirm_labels_train_nothing(world: PipelineWorld) -> None:
    world.review(1)
    world.begin()
    world.finish("revise", RevisedDataset(manifest=None))

    world.runner.advance()

    assert world.run.state is RunState.UNCHANGED
    assert world.kinds() == ["revise"]


def test_what_was_rejected_is_not_trained_again_from_the_same_images(world: PipelineWorld) -> None:
    world.run_through(EVEN)
    world.signals.drift = True

    world.begin()

    assert world.run.state is RunState.UNCHANGED
    assert "on which an earlier run has trained pet-cnn@2, which was not promoted" in world.run.reason


def test_a_run_after_a_failed_training_goes_on_with_the_version_that_is_there(world: PipelineWorld) -> None:
    world.review(1)
    world.begin()
    world.revise()
    world.runner.advance()
    world.stores.jobs.cancel(str(world.run.train_job))
    world.runner.advance()
    assert world.run.reason.endswith("did not succeed: it was cancelled")

    world.begin()

    assert (world.run.step, world.run.dataset, world.run.revise_job) == ("train", "pets@2", None)


def test_a_candidate_is_not_promoted_over_a_persons_choice(world: PipelineWorld) -> None:
    world.review(1)
    world.begin()
    for step in (world.revise, world.train):
        step()
        world.runner.advance()
    world.stores.models.set_alias("pet-cnn", "production", 2)
    world.evaluate(BETTER)

    world.runner.advance()

    assert world.run.state is RunState.SUPERSEDED
    assert world.run.reason == (
        "pet-cnn@production points at version 2 by now, and pet-cnn@2 was compared with pet-cnn@1; a person has "
        "changed it, so nothing was promoted"
    )
    assert world.run.gate is not None
    assert world.run.gate.passed


@pytest.mark.parametrize("gone", [True, False])
def test_a_run_needs_one_champion(world: PipelineWorld, gone: bool) -> None:
    world.run_through(EVEN)
    if gone:
        world.stores.models.delete_alias("pet-cnn", "production")
    else:
        world.stores.models.split_alias("pet-cnn", "production", Traffic(versions={1: 90, 2: 10}))

    world.begin()

    assert world.run.state is RunState.FAILED
    assert ("is gone" if gone else "shares its requests among the versions 1, 2") in world.run.reason


def test_a_person_promotes_if_the_pipeline_may_not(clock: FakeClock) -> None:
    world = with_pipeline(clock, promote=False)

    run = world.run_through(BETTER)

    assert run.state is RunState.PASSED
    assert run.reason.endswith("A person decides whether pet-cnn@production should point at it")
    assert world.production == {1: 100}


def test_a_candidate_is_the_shadow_for_some_hours_before_it_is_promoted(clock: FakeClock) -> None:
    world = with_pipeline(clock, shadow_hours=2.0)
    world.run_through(BETTER)
    alias = world.stores.models.named("pet-cnn").aliases[0]
    assert (world.run.step, alias.versions, alias.shadow) == ("shadow", {1: 100}, 2)
    assert world.runner.advance() == 0

    clock.tick(2 * 3600)
    world.runner.advance()

    alias = world.stores.models.named("pet-cnn").aliases[0]
    assert (world.run.state, alias.versions, alias.shadow) == (RunState.PROMOTED, {2: 100}, None)


def test_a_shadow_that_is_quarantined_or_ended_is_not_promoted(clock: FakeClock) -> None:
    world = with_pipeline(clock, shadow_hours=2.0)
    run = world.run_through(BETTER)
    world.stores.models.quarantine(Reference.parse(str(run.candidate)), "its runs took too long")
    world.runner.advance()
    assert world.run.state is RunState.REJECTED
    assert world.stores.models.named("pet-cnn").aliases[0].shadow is None

    world.run_through(BETTER)
    world.stores.models.set_alias("pet-cnn", "production", 1)
    clock.tick(2 * 3600)
    world.runner.advance()
    assert (world.run.state, world.production) == (RunState.SUPERSEDED, {1: 100})
    assert "a person has ended the shadow" in world.run.reason


@pytest.mark.parametrize(
    ("train", "start"),
    [({}, "pet-cnn@1"), ({"init_from": "lite0"}, "lite0"), ({"architecture": {"name": "cnn"}}, None)],
)
def test_a_training_continues_from_the_champion_unless_it_has_a_start(
    clock: FakeClock, train: dict[str, Any], start: str | None
) -> None:
    world = with_pipeline(clock, train=train)
    world.signals.drift = True

    world.begin()

    assert world.stores.jobs.get(str(world.run.train_job)).spec["init_from"] == start
    assert world.run.notes == ()


def test_a_champion_without_weights_is_not_continued_and_a_note_says_so(world: PipelineWorld) -> None:
    world.signals.drift = True
    world.stores.jobs.create(TRAIN_REQUEST)
    world.finish("train", CATS.model_copy(update={"state": None}))
    world.stores.models.set_alias("pet-cnn", "production", 2)

    world.begin()

    assert world.stores.jobs.get(str(world.run.train_job)).spec["init_from"] is None
    (note,) = world.run.notes
    assert note.startswith("the training does not continue from the champion: pet-cnn@2 has no weights to start from")


def test_answers_about_test_images_do_not_count(world: PipelineWorld) -> None:
    world.review(1, split=Split.TEST)

    assert world.signals.labels("default", "pets") == 0
    world.begin()
    assert world.run.state is RunState.UNCHANGED
    assert world.kinds() == []


def test_a_class_that_loses_its_last_image_is_dropped_with_a_note(world: PipelineWorld) -> None:
    world.review(1)
    world.begin()
    assert world.stores.jobs.get(str(world.run.revise_job)).spec["empty_classes"] == "drop"
    without = PETS.model_copy(update={"classes": PETS.classes[1:], "revision": revised(1).revision})
    world.finish("revise", RevisedDataset(manifest=without))

    world.runner.advance()

    (note,) = world.run.notes
    assert note == f"the reviewed images leave no image of {PETS.classes[0]!r}, so pets@2 is without it"


def test_a_version_that_another_one_has_overtaken_is_made_again_but_not_for_ever(world: PipelineWorld) -> None:
    world.review(1)
    world.begin()
    for number in range(MOST_REPEATS + 1):
        assert (world.run.state, world.run.step, len(world.run.notes)) == (RunState.RUNNING, "revise", number)
        claim = world.all_stores.leases.claim("revise", "worker")
        assert claim is not None
        world.all_stores.leases.fail(claim.lease, Conflict("some of the reviews are in another version"))
        world.runner.advance()

    assert world.run.state is RunState.FAILED
    assert world.kinds() == ["revise"] * (MOST_REPEATS + 1)
