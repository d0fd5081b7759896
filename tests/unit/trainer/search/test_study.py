"""What is tried next, which trials end early, and which parameters matter."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import optuna
import pytest

from contract.search import Range, Search
from services.trainer.search.study import Trial, best_trial, importance, proposals, prunes

RATE = Range(low=0.001, high=1, log=True)
SEARCH = Search(trials=30, over={"optimizer.lr": RATE, "augment.flip": (True, False), "epochs": Range(low=2, high=81)})
NAME = "study"


def tried(number: int, value: float, rate: float = 0.1, epochs: int = 9) -> Trial:
    """A trial that has had its value after each epoch."""
    parameters = {"optimizer.lr": rate, "augment.flip": number % 2 == 0, "epochs": epochs}
    return Trial(number, parameters, "complete", (value,) * epochs, value)


def test_proposals_lie_in_the_ranges_and_depend_on_the_trials_only() -> None:
    trials = [tried(number, 0.5 + number / 100) for number in range(5)]

    first, second, other = (list(islice(proposals(SEARCH, NAME, seed, trials), 3)) for seed in (7, 7, 8))

    assert first == second
    assert first != other
    assert len({str(parameters) for parameters in first}) == 3
    for parameters in first:
        assert 0.001 <= parameters["optimizer.lr"] <= 1
        assert parameters["augment.flip"] in (True, False)
        assert parameters["epochs"] in range(2, 82)


def test_tpe_proposes_near_what_was_good() -> None:
    # given that a rate of about 0.1 is good, and others are bad
    rates = [0.001, 0.003, 0.01, 0.03, 0.09, 0.1, 0.11, 0.3, 0.6, 1.0] * 2
    trials = [
        tried(number, 0.9 if 0.08 < rate < 0.12 else 0.2 + number / 1000, rate) for number, rate in enumerate(rates)
    ]

    proposed = [parameters["optimizer.lr"] for parameters in islice(proposals(SEARCH, NAME, 0, trials), 8)]

    assert sum(0.02 < float(rate) < 0.5 for rate in proposed) >= 6


def test_trials_that_are_open_or_have_failed_count_for_nothing() -> None:
    failed = [Trial(0, tried(0, 0).parameters, "failed"), Trial(1, tried(1, 0).parameters, "open", (0.5,))]

    assert next(proposals(SEARCH, NAME, 0, failed)).keys() == SEARCH.over.keys()
    assert best_trial(failed, "val.accuracy") is None


def ended_after(search: Search, number: int, value: float) -> int | None:
    """Return the epoch of nine after which a trial with this value ends early, None if it does not."""
    others = [tried(other, 0.8 + other / 1000) for other in range(number)]
    for epoch in range(1, 5):
        trial = Trial(number, others[0].parameters, "open", (value,) * epoch)
        if prunes(search, NAME, [*others, trial], number, 9):
            return epoch
    return None


def test_a_poor_trial_ends_early_and_a_good_one_does_not() -> None:
    hyperband, median, never = (SEARCH.model_copy(update={"early_stop": e}) for e in ("hyperband", "median", "none"))

    numbers = range(12, 15)  # Hyperband has brackets of trials that it gives different time

    assert {ended_after(hyperband, number, 0.1) for number in numbers} & {1, 3}
    assert {ended_after(hyperband, number, 0.95) for number in numbers} == {None}
    assert ended_after(median, 12, 0.1) == 2
    assert ended_after(median, 12, 0.95) is None
    assert ended_after(never, 12, 0.1) is None


@pytest.mark.parametrize("early_stop", ["hyperband", "median"])
def test_trials_of_different_lengths_are_compared_at_the_same_share_of_their_epochs(early_stop: str) -> None:
    # given twelve trials of 9 epochs that reached 0.9 in equal steps, and one that reaches a little more in 27
    search = SEARCH.model_copy(update={"early_stop": early_stop})
    short, long = ([top * epoch / count for epoch in range(1, count + 1)] for top, count in ((0.9, 9), (0.91, 27)))
    others = [replace(tried(number, 0.9 + number / 1000), values=tuple(short)) for number in range(12)]
    parameters = others[0].parameters | {"epochs": 27}

    ends = [
        epoch
        for epoch in range(2, 27)
        if prunes(search, NAME, [*others, Trial(12, parameters, "open", tuple(long[:epoch]))], 12, 27)
    ]

    assert ends == []


@pytest.mark.parametrize(("early_stop", "most"), [("hyperband", 5), ("median", 1)])
def test_early_stopping_asks_about_few_epochs_of_other_trials(
    early_stop: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given forty trials of 81 epochs, of which Hyperband compares them after 4, 12 and 36
    search = SEARCH.model_copy(update={"early_stop": early_stop})
    trials = [tried(number, number / 40, epochs=81) for number in range(40)]
    calls: list[int] = []
    asks, reports = optuna.trial.Trial.should_prune, optuna.trial.Trial.report
    monkeypatch.setattr(optuna.trial.Trial, "should_prune", lambda trial: calls.append(trial.number) or asks(trial))
    monkeypatch.setattr(
        optuna.trial.Trial, "report", lambda trial, *value: calls.append(trial.number) or reports(trial, *value)
    )

    prunes(search, NAME, [*trials, Trial(40, trials[0].parameters, "open", (0.5,) * 80)], 40, 81)

    assert max(Counter(number for number in calls if number != 40).values()) <= 2 * most


def test_the_lowest_loss_is_the_best_and_the_lowest_accuracy_the_worst() -> None:
    trials = [tried(0, 0.5), tried(1, 0.9), tried(2, 0.9), tried(3, 0.1)]

    best, lowest = best_trial(trials, "val.macro_f1"), best_trial(trials, "val.loss")

    assert best is not None
    assert lowest is not None
    assert (best.number, lowest.number) == (1, 3)


def test_a_pruned_trial_is_the_best_only_if_none_is_complete() -> None:
    pruned = Trial(0, {}, "pruned", (0.9,), 0.9)

    assert best_trial([pruned, tried(1, 0.5)], "val.accuracy") == tried(1, 0.5)
    assert best_trial([pruned], "val.accuracy") == pruned


def test_the_parameter_that_decides_is_the_important_one() -> None:
    rates = [0.001 * 1.4**number for number in range(20)]
    trials = [tried(number, rate, rate) for number, rate in enumerate(rates)]

    shares = importance(SEARCH, NAME, trials)

    assert max(shares, key=lambda name: shares[name]) == "optimizer.lr"
    assert importance(SEARCH, NAME, trials[:1]) == {}
