"""The examples in the docstrings of the client and in its README run against the real gateway, in this process."""

import doctest
import importlib
import pkgutil
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from structlog.testing import capture_logs

import tidepool_client
from tests.support.images import png
from tests.unit.clients.in_process import client_in_process
from tidepool_client import Client, _sync

README = Path(tidepool_client.__file__).parents[1] / "README.md"
PAGES = [README, README.parents[2] / "docs" / "client.md"]
NEEDS_SERVERS = ("asyncio", "uploads.send", "search=")  # only compiled


def examples() -> Iterator[doctest.DocTest]:
    for info in pkgutil.iter_modules(_sync.__path__, f"{_sync.__name__}."):
        module = importlib.import_module(info.name)
        for test in doctest.DocTestFinder(exclude_empty=True).find(module):
            if test.examples:
                yield test


EXAMPLES = list(examples())


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client of a full world, and a current folder with an image, a folder and an archive."""
    folder = tmp_path / "current"
    for label in ("cat", "dog"):
        (folder / "pets" / label).mkdir(parents=True)
        (folder / "pets" / label / "1.png").write_bytes(png(1))
    (folder / "photo.png").write_bytes(png(2))
    (folder / "Pets 2026.zip").write_bytes(b"PK")
    monkeypatch.chdir(folder)
    with capture_logs(), client_in_process(tmp_path) as client:
        yield client


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name.rpartition("_sync.")[2])
def test_the_example_in_a_docstring_runs(example: doctest.DocTest, client: Client) -> None:
    example.globs["client"] = client
    messages: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    runner.run(example, out=messages.append)
    assert not messages, "".join(messages)


def test_every_noun_has_an_example() -> None:
    with_examples = {example.name.rpartition("_sync.")[2].split(".")[0] for example in EXAMPLES}
    assert with_examples >= {
        "access",
        "backbones",
        "client",
        "datasets",
        "jobs",
        "models",
        "pipelines",
        "pools",
        "uploads",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_python_code_of_a_page_runs(page: Path, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tidepool_client, "Client", lambda *_: nullcontext(client) if page == README else client)
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        code = compile(block, page.name, "exec")
        if not any(name in block for name in NEEDS_SERVERS):
            exec(code, names)
