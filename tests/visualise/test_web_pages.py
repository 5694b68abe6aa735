"""A reader's own notebook as a web page, made by the command that the README gives."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from mdm_lib import load_clips
from mdm_lib.visualise import MotionPlayer

README = Path(__file__).parents[2] / "README.md"


@pytest.fixture(scope="module")
def player():
    return MotionPlayer(load_clips("synthetic:12").joints[:1, :20])


def converted(folder: Path, outputs: list[dict]) -> str:
    """The page of a notebook with these outputs."""
    cells = [
        nbformat.v4.new_code_cell("…", outputs=[nbformat.v4.new_output("display_data", data=data)]) for data in outputs
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "my_notebook.ipynb")
    (command,) = re.findall(r"^jupyter (nbconvert .*my_notebook\.ipynb)$", README.read_text(encoding="utf-8"), re.M)
    subprocess.run(
        [sys.executable, "-m", "jupyter", *shlex.split(command)], cwd=folder, check=True, capture_output=True
    )
    return (folder / "my_notebook.html").read_text(encoding="utf-8")


def test_a_player_becomes_its_film_strip(player, tmp_path):
    data, _ = player._repr_mimebundle_()
    page = converted(tmp_path, [data])
    assert f"data:image/png;base64,{data['image/png']}" in page
    assert "jupyter-widgets" not in re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)


def test_a_playing_page_stays_as_it_is(player, tmp_path):
    assert player.to_html().strip() in converted(tmp_path, [{"text/html": player.to_html()}])
