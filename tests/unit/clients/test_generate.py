"""The synchronous client is the one that `clients/python/generate.py` writes."""

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[3] / "clients" / "python"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("client_generator", ROOT / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_synchronous_client_is_up_to_date() -> None:
    written = {path.name: path.read_text() for path in (ROOT / "tidepool_client" / "_sync").glob("*.py")}
    assert written == generator().generated(), "run: .venv/bin/python clients/python/generate.py"


def test_nothing_asynchronous_is_left_in_it() -> None:
    for text in generator().generated().values():
        code = text.replace("`_async`", "").replace("for asyncio", "")
        assert not any(word in code for word in ("async", "await", "Async"))
