"""Each fuzzer for a few seconds, after all inputs of its corpus; `make fuzz` runs them for longer."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import fuzz
from tests.fuzz.targets import TARGETS, run, seeds

SECONDS = 10


@pytest.mark.parametrize("target", TARGETS)
def test_an_input_is_taken_or_refused(target: str, tmp_path: Path) -> None:
    assert fuzz(target, tmp_path, SECONDS), f"see libFuzzer's report; the input is in {tmp_path / 'finds'}"


@pytest.mark.parametrize("target", TARGETS)
def test_the_fuzzer_starts_from_valid_inputs(target: str) -> None:
    assert all(run(TARGETS[target], seed) for seed in seeds(target))
