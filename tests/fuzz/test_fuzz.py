"""Each fuzzer for about four seconds, after all inputs of its corpus; `make fuzz` runs them for longer."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import TARGETS, run, seeds

RUNS = {"image": 4_000, "archive": 600, "table": 200, "tensors": 40_000, "grpc": 120_000, "graph": 12_000}


@pytest.mark.parametrize("target", TARGETS)
def test_an_input_is_taken_or_refused(target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")  # the same inputs in every run of the tests

    assert fuzz(target, tmp_path, f"-runs={RUNS[target]}", "-seed=1"), f"the input is in {tmp_path / 'finds'}"


@pytest.mark.parametrize("target", TARGETS)
def test_the_fuzzer_starts_from_valid_inputs(target: str) -> None:
    assert all(run(TARGETS[target], seed) for seed in seeds(target))
