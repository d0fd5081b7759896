import importlib
import sys
from pathlib import Path

import pytest

import benchmarks

FOLDER = Path(next(iter(benchmarks.__path__)))
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/__main__.py"))


@pytest.mark.parametrize("name", NAMES)
def test_every_benchmark_tells_its_options(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    module = importlib.import_module(f"benchmarks.{name}.__main__")
    with pytest.raises(SystemExit) as ended:
        module.main()
    assert ended.value.code == 0
    assert "options:" in capsys.readouterr().out
