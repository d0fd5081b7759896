"""`examples/quickstart.ipynb` runs from the upload to the comparison, on a stack of its own."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.e2e.running import started

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"


def test_the_notebook_runs_and_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    with started(tmp_path / "home") as stack:
        monkeypatch.setenv("TIDEPOOL_URL", stack.url)
        monkeypatch.setenv("TIDEPOOL_API_KEY", stack.key)
        resources = {"metadata": {"path": str(NOTEBOOK.parent)}}
        NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    images = [output for output in outputs if "image/png" in output.get("data", {})]
    tables = [output for output in outputs if "<table>" in output.get("data", {}).get("text/html", "")]
    assert len(images) == 6
    assert len(tables) == 3
    assert not [output for output in outputs if output.output_type in {"error", "stream"}]
