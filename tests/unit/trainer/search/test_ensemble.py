"""A search that publishes several of its trials as one model."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from contract.jobs import Job, JobState
from contract.kinds.trial import TrialOutcome
from contract.references import Reference
from contract.training import Cnn, Mlp, ModelManifest
from services.trainer.network import Blueprint
from services.trainer.search import selection
from services.trainer.search.ensemble import together
from services.trainer.search.selection import Selection
from services.trainer.state import State
from services.trainer.transforms import Normalize
from services.trainer.variants import Variants
from tests.support.killed import Killed, die
from tests.support.searching import Trainers

SEARCH: dict[str, Any] = {"trials": 2, "ensemble": 3, "early_stop": "none", "objective": "val.loss"}
OVER = {"optimizer.lr": {"low": 0.01, "high": 0.2, "log": True}}
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (9, 3, 8, 8), np.uint8))


@pytest.fixture
def trainers(tmp_path: Path) -> Trainers:
    return Trainers(tmp_path, auto=True)


@pytest.fixture
def without_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.trainer.worker.make_variants", lambda *_: Variants())


def choose(monkeypatch: pytest.MonkeyPatch, *others: int) -> None:
    """Let the selection choose the best trial, and these others."""

    def select(numbers: list[int], *_: object) -> Selection:
        chosen = (numbers[0], *(number for number in others if number != numbers[0]))
        return Selection(chosen, tuple(1 / place for place in range(1, len(chosen) + 1)))

    monkeypatch.setattr(selection, "select", select)


def finished(trainers: Trainers, job: Job) -> tuple[dict[str, Any], ModelManifest]:
    """Return the study and the manifest of a search that has succeeded."""
    job = trainers.get(job)
    assert job.state == JobState.SUCCEEDED, job.error
    assert job.result is not None
    return job.result["study"], trainers.project.models.manifest(Reference(name="net"))[1]


def scores_of(file: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Run an exported file on images as serving does, and return the scores."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": Normalize(mean, std)(IMAGES).numpy()})[0]).softmax(dim=1)


@torch.no_grad()
def mean_of(states: list[State], labels: tuple[str, ...]) -> Tensor:
    """The mean of the scores of networks, each with its own normalization."""
    answers = [
        state.network((3, 8, 8), labels).eval()(Normalize(state.mean, state.std)(IMAGES)).softmax(dim=1)
        for state in states
    ]
    return torch.stack(answers).mean(dim=0)


def run_trials(trainers: Trainers) -> Job:
    """Submit a search, and run it until only its model is missing."""
    job = trainers.submit(search=SEARCH | {"over": OVER}, epochs=1)
    for _ in range(2 * SEARCH["trials"]):
        trainers.step()
    assert all(child.ended for child in trainers.children(job))
    return job


def outcomes_of(trainers: Trainers, job: Job) -> list[TrialOutcome]:
    return [TrialOutcome.model_validate(child.job.result) for child in trainers.children(job)]


def test_a_search_publishes_the_mean_of_several_trials(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    choose(monkeypatch, 0, 1)
    job = run_trials(trainers)
    outcomes = outcomes_of(trainers, job)

    trainers.run_all()

    # then the published file answers with the mean, and the study says of which trials
    study, manifest = finished(trainers, job)
    assert sorted(study["members"]) == [0, 1]
    assert study["members"][0] == study["best"]
    members = [
        State.from_bytes("net", trainers.stores.objects.read(outcomes[number].state)) for number in study["members"]
    ]
    assert manifest.preprocessing is not None
    trainers.stores.objects.fetch(manifest.artifact, tmp_path / "net.onnx")
    scores = scores_of(tmp_path / "net.onnx", manifest.preprocessing.mean, manifest.preprocessing.std)
    assert scores.numpy() == pytest.approx(mean_of(members, manifest.labels).numpy(), abs=1e-5)
    assert {variant.name for variant in manifest.variants} == {"fp32", "fp16", "int8"}
    assert manifest.parameters == sum(
        weights.numel()
        for member in members
        for name, weights in member.weights.items()
        if "running" not in name and "num_batches" not in name
    )
    (choice,) = [choice for choice in manifest.decisions if choice.what == "search.ensemble"]
    assert choice.value == 2
    assert "together have a loss of 0.500 on the validation images, the best alone 1.000" in choice.because


@pytest.mark.usefixtures("without_variants")
def test_an_attempt_that_dies_while_it_publishes_an_ensemble_is_made_again(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch, 0, 1)
    job = run_trials(trainers)
    claim = trainers.claim()
    assert claim is not None

    # when the replica dies after it has stored the file
    with monkeypatch.context() as patched:
        patched.setattr("services.trainer.worker.make_variants", die)
        with pytest.raises(Killed):
            trainers.run(claim)
    trainers.stores.leases.release(claim.lease)
    trainers.run_all()

    # then the next attempt publishes the same trials, once
    study, manifest = finished(trainers, job)
    assert len(study["members"]) == 2
    assert manifest.study is not None
    assert manifest.study.members == tuple(study["members"])
    assert trainers.project.models.named("net").versions == (1,)
    # and another training starts from the weights of the best
    best = outcomes_of(trainers, job)[study["best"]]
    assert manifest.state is not None
    assert trainers.stores.objects.read(manifest.state) == trainers.stores.objects.read(best.state)
    again = trainers.submit(init_from="net@1", model="again", method="fine_tune", architecture=None, epochs=1)
    trainers.run_all()
    assert trainers.get(again).state == JobState.SUCCEEDED


@pytest.mark.usefixtures("without_variants")
def test_the_best_trial_is_published_alone_if_no_other_improves_it(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose(monkeypatch)
    job = run_trials(trainers)

    trainers.run_all()

    study, manifest = finished(trainers, job)
    assert "members" not in study
    assert manifest.decisions[0].because == (
        f"no other trial improves the answers of trial {study['best']} on the validation images"
    )
    best = outcomes_of(trainers, job)[study["best"]]
    assert manifest.state is not None
    assert trainers.stores.objects.read(manifest.state) == trainers.stores.objects.read(best.state)


@pytest.mark.usefixtures("without_variants")
def test_a_trial_that_was_ended_early_is_published_alone_and_keeps_no_answers(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given trials that all end early
    monkeypatch.setattr("services.trainer.search.trial.prunes", lambda *_: True)
    job = trainers.submit(search=SEARCH | {"over": OVER, "early_stop": "median"}, epochs=2)

    trainers.run_all()

    study, manifest = finished(trainers, job)
    assert "members" not in study
    assert [outcome.validation for outcome in outcomes_of(trainers, job)] == [None, None]
    choice = manifest.decisions[0]
    assert (choice.what, choice.value) == ("search.ensemble", 1)
    assert choice.because == "only complete trials are combined, and every trial with a model was ended early"


def test_a_trial_keeps_no_answers_that_are_too_many_to_combine(
    trainers: Trainers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.trainer.search.trial.MOST_ANSWERS", 30 * 3 - 1)

    job = run_trials(trainers)

    assert [outcome.validation for outcome in outcomes_of(trainers, job)] == [None, None]


def test_members_keep_their_normalization_and_images_have_that_of_the_first() -> None:
    labels, shape = ("ant", "bee", "cat"), (3, 8, 8)
    scales = [((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)), ((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))]
    states = []
    for architecture, (mean, std) in zip((Cnn(), Mlp(name="mlp")), scales, strict=True):
        blueprint = Blueprint(shape=shape, classes=3, architecture=architecture)
        states.append(State("net", blueprint, blueprint.build().state_dict(), mean, std, labels))
    network = together(states, shape, labels)

    scores = network(Normalize(states[0].mean, states[0].std)(IMAGES)).softmax(dim=1)
    assert scores.detach().numpy() == pytest.approx(mean_of(states, labels).numpy(), abs=1e-5)
