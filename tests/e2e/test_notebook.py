"""`examples/quickstart.ipynb` runs from the upload to the comparison, on a sixth of its images."""

import zipfile
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.e2e.running import Running

NOTEBOOK = Path(__file__).parents[2] / "examples" / "quickstart.ipynb"
ARCHIVE = "clothing-sample.zip"


def write_sixth(folder: Path) -> None:
    """Write an archive with every sixth image of the notebook's, so of every class in every split."""
    with zipfile.ZipFile(NOTEBOOK.with_name(ARCHIVE)) as archive, zipfile.ZipFile(folder / ARCHIVE, "w") as smaller:
        for name in archive.namelist()[::6]:
            smaller.writestr(name, archive.read(name))


def test_the_notebook_runs_and_plots(stack: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path / "matplotlib"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    write_sixth(tmp_path)
    monkeypatch.setenv("TIDEPOOL_URL", stack.url)
    monkeypatch.setenv("TIDEPOOL_API_KEY", stack.key)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    images = [output for output in outputs if "image/png" in output.get("data", {})]
    tables = [output for output in outputs if "<table>" in output.get("data", {}).get("text/html", "")]
    assert len(images) == 6
    assert len(tables) == 3
    assert not [output for output in outputs if output.output_type in {"error", "stream"}]
