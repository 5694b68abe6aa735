"""Chapters in JupyterLab, run from top to bottom as a reader does."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Chapter → selectors of what its live outputs must show.
CHAPTERS = {
    "00_start_here": [".mdm-explorer canvas", ".jp-OutputArea-output img"],
    "03_noise_scheduler": [".mdm-explorer canvas", ".mdm-explorer img.widget-image", "mjx-container"],
    "06_reverse_sampler": [".mdm-explorer canvas", "mjx-container"],
    "07_full_training": [".mdm-explorer canvas"],
    "09_guidance_and_fast_sampling": [".mdm-explorer", "mjx-container"],
}


@pytest.fixture(params=CHAPTERS)
def chapter(request, lab):
    """A chapter open in the browser, with the assets beside it that its pictures link to."""
    folder = lab.folder / request.param
    (folder / "notebooks").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks" / f"{request.param}.ipynb", folder / "notebooks")
    shutil.copytree(ROOT / "assets", folder / "assets")
    with lab.open_file(folder / "notebooks" / f"{request.param}.ipynb") as notebook:
        yield request.param, notebook


def test_a_chapter_runs_in_the_browser(chapter):
    """All cells run; pictures, players and formulas are there, not their stored stand-ins."""
    name, notebook = chapter
    notebook.run()
    for selector in CHAPTERS[name]:
        notebook.page.wait_for_selector(selector, state="attached")
    broken = notebook.page.evaluate(
        """() => [...document.querySelectorAll('.jp-Notebook img')]
             .filter((img) => img.complete && img.naturalWidth === 0).map((img) => img.src.slice(0, 90))"""
    )
    assert broken == []
    raw = notebook.page.evaluate("document.querySelector('.jp-Notebook').innerText.match(/\\\\(frac|alpha|sqrt|bar)/)")
    assert raw is None, "a formula is shown as its source"
    explorers = notebook.page.locator(".mdm-explorer")
    assert explorers.count() >= 1
