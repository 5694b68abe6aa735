"""A reader has one notebook and nothing else: its first cell fetches the course and installs it."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import nbformat
import pytest
from test_notebooks import NOTEBOOKS, builder

ROOT = Path(__file__).resolve().parents[1]
#: The chapter that readers open first, and the one that they open on a machine with a GPU.
LONE = [path for path in NOTEBOOKS if path.stem in ("00_start_here", "07_full_training")]
RUN = """
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read("lone.ipynb", as_version=4)
NotebookClient(notebook, kernel_name="python3", timeout=600).execute()
nbformat.write(notebook, "done.ipynb")
"""


@pytest.fixture
def python_without_the_course(tmp_path):
    """A Python that has all packages of this one, ``mdm_lib`` apart."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    scripts = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    (python,) = scripts.glob("python.exe" if sys.platform == "win32" else "python")
    place = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    for installed in Path(sysconfig.get_path("purelib")).iterdir():
        link = Path(place.strip(), installed.name)
        if not (installed.name.startswith(("mdm_lib", "_mdm_lib")) or installed.suffix == ".pth" or link.exists()):
            link.symlink_to(installed)
    without = subprocess.run([python, "-c", "import mdm_lib"], cwd=tmp_path, capture_output=True, text=True)
    assert "ModuleNotFoundError" in without.stderr
    return python


@pytest.mark.parametrize("path", LONE, ids=lambda path: path.stem)
def test_a_lone_notebook_runs(path, python_without_the_course, tmp_path):
    """In an empty folder, with the course's address set to this checkout (what is committed in it)."""
    folder = tmp_path / "empty"
    folder.mkdir()
    notebook = nbformat.read(path, as_version=4)
    (set_up,) = (cell for cell in notebook.cells if cell.source == builder.setup_cell())
    set_up.source = builder.SETUP_CELL.format(repository=ROOT.as_uri())
    nbformat.write(notebook, folder / "lone.ipynb")
    run = subprocess.run([python_without_the_course, "-c", RUN], cwd=folder, capture_output=True, text=True)
    if "No matching distribution" in run.stderr or "Failed to establish a new connection" in run.stderr:
        pytest.skip("needs a network: pip fetches what builds the package")
    assert run.returncode == 0, run.stderr[-2000:]
    cells = nbformat.read(folder / "done.ipynb", as_version=4).cells
    assert all(output.output_type != "error" for cell in cells for output in cell.get("outputs", []))
    assert (folder / "hmd" / "mdm_lib").is_dir()
