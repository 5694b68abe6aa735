"""The explorers in JupyterLab: their controls reach the kernel, and its pictures come back."""

import re
from dataclasses import replace

import pytest

from mdm_lib import PRESETS, load_clips, train

SET_UP = """
from mdm_lib import load_checkpoint, load_clips
from mdm_lib.runtime import set_threads
from mdm_lib.widgets.explorers import attention_explorer, gallery, noise_explorer, sampler_explorer
from mdm_lib.widgets.engine import explore
set_threads(1)
clips, checkpoint = load_clips("synthetic:60"), load_checkpoint({path!r})
made = dict(
    noise=noise_explorer(clips), attention=attention_explorer(checkpoint, clips),
    sampler=sampler_explorer(checkpoint), gallery=gallery(checkpoint),
)
for explorer in made.values():  # a still player's picture changes only when it is given another motion
    for item in explorer.wait().stage.items.values():
        item.playing = False
"""
SLOW = """
import time
from PIL import Image
begun, ended, allowed = [], [], 0
def slow(n):
    begun.append(n)
    done = 0
    while done < 100:
        time.sleep(0.01)
        done = min(done + 1, allowed)
        yield done / 100, None
    ended.append(n)
    yield 1.0, Image.new("RGB", (40, 40), (n, 0, 0))
made["slow"] = explore(slow, n=(0, 9))
made["slow"]
"""
FAILING = """
def picky(n):
    return Image.new("RGB", (40, 40)) if n < 1 else 1 / 0
made["picky"] = explore(picky, n=(0, 9))
made["picky"]
"""
EXPLORERS = ["noise", "attention", "sampler", "gallery"]
SLOW_CELL = 1 + len(EXPLORERS)
#: What is to be seen in a cell's pictures and canvases, as a text that differs when they do.
SEEN = """(cell) => [...cell.querySelectorAll("img.widget-image, .mdm-stage canvas")].map((e) => {
    if (e.tagName === "IMG") return e.src;
    const { data } = e.getContext("2d").getImageData(0, 0, e.width, e.height);
    return data.reduce((sum, value) => (31 * sum + value) % 1000003, 7);
}).join()"""


@pytest.fixture(scope="module")
def notebook(lab, tmp_path_factory):
    """One notebook: a cell to set up, then one for each explorer."""
    config = replace(PRESETS["tiny"], latent_dim=32, num_layers=2, ff_size=64, num_timesteps=20, num_frames=40)
    *_, trainer = train(load_clips("synthetic:60"), config, steps=60)
    path = trainer.checkpoint().save(tmp_path_factory.mktemp("checkpoint") / "tiny.pt")
    cells = [SET_UP.format(path=str(path)), *(f"made[{name!r}]" for name in EXPLORERS), SLOW, FAILING]
    with lab.open(cells) as notebook:
        notebook.run()
        yield notebook


def cell_of(notebook, name: str):
    """The notebook's cell with that explorer, scrolled into view, all its pictures there."""
    cell = notebook.page.locator(".jp-Notebook-cell").nth(1 + [*EXPLORERS, "slow", "picky"].index(name))
    cell.scroll_into_view_if_needed()
    cell.locator(".mdm-explorer img.widget-image, .mdm-explorer canvas").first.wait_for()
    return cell


def wait_for_change(cell, before: str):
    """Until the cell's pictures are other ones."""
    cell.page.wait_for_function(f"([cell, before]) => ({SEEN})(cell) !== before", arg=[cell.element_handle(), before])


def settled(cell) -> str:
    """What is seen once it stays so for a moment: players ease their camera."""
    before = None
    while before != (before := cell.evaluate(SEEN)):
        cell.page.wait_for_timeout(250)
    return before


def press(cell, slider: str, key: str):
    """A key on the slider of that name, as a reader without a mouse uses it."""
    handle = cell.get_by_role("slider", name=slider, exact=True)
    handle.focus()
    cell.page.keyboard.press(key)


@pytest.mark.parametrize(
    ("name", "slider", "key", "menu", "choice"),
    [
        ("noise", "t", "PageUp", "schedule", "cosine"),
        ("attention", "layer", "ArrowRight", "action", "run"),
        ("sampler", "step", "PageDown", "sampler", "ddpm"),
        ("gallery", "steps", "ArrowLeft", "view", "film strips"),
    ],
)
def test_a_slider_and_a_menu_change_the_picture(notebook, name, slider, key, menu, choice):
    cell = cell_of(notebook, name)
    before = settled(cell)
    press(cell, slider, key)
    wait_for_change(cell, before)
    before = settled(cell)
    cell.get_by_role("combobox", name=menu, exact=True).select_option(choice)
    wait_for_change(cell, before)
    assert notebook.ask(f"made[{name!r}].error is None")
    assert notebook.ask(f"made[{name!r}].controls[{menu!r}].value") == choice


def wait_for_progress(notebook, cell, percent: int):
    """Let the slow explorer come so far, and see its bar do so."""
    notebook.tell(f"allowed = {percent}")
    cell.page.wait_for_function(
        """([cell, percent]) => { const bar = cell.querySelector('.widget-hprogress .progress-bar');
           return bar?.checkVisibility({ visibilityProperty: true }) && bar.style.width === percent + '%' }""",
        arg=[cell.element_handle(), percent],
    )


def wait_for_slow(notebook, cell):
    """Until the slow explorer's picture is there, and its bar is not."""
    notebook.tell("allowed = 100")
    cell.locator("img.widget-image").wait_for()
    cell.locator(".widget-hprogress").wait_for(state="hidden")


def test_the_first_call_shows_its_progress_and_is_left_for_newer(notebook):
    cell = run_slow(notebook)
    for percent in (20, 60):
        wait_for_progress(notebook, cell, percent)
    assert cell.locator(".widget-hprogress .progress").bounding_box()["height"] >= 4
    assert cell.locator("img.widget-image").count() == 0
    press(cell, "n", "ArrowRight")
    notebook.until("begun == [0, 1]")
    wait_for_slow(notebook, cell)
    assert notebook.ask("ended") == [1]
    assert notebook.ask("made['slow'].values()") == {"n": 1}


def run_slow(notebook):
    """The slow explorer's cell, run now and still at work."""
    notebook.tell("allowed = 0")
    notebook.run_cell(SLOW_CELL)
    cell = notebook.page.locator(".jp-Notebook-cell").nth(SLOW_CELL)
    cell.scroll_into_view_if_needed()
    cell.locator(".mdm-explorer").wait_for()
    return cell


def test_later_work_shows_its_progress_and_is_left_for_newer(notebook):
    cell = run_slow(notebook)
    wait_for_slow(notebook, cell)
    before = cell.evaluate(SEEN)
    notebook.tell("allowed = 0")
    press(cell, "n", "ArrowRight")
    wait_for_progress(notebook, cell, 30)
    press(cell, "n", "ArrowRight")
    notebook.until("begun == [0, 1, 2]")
    wait_for_slow(notebook, cell)
    wait_for_change(cell, before)
    assert notebook.ask("ended") == [0, 2]


def test_a_cell_that_runs_again_ends_its_old_work(notebook):
    cell = run_slow(notebook)
    wait_for_progress(notebook, cell, 10)
    notebook.tell("old, old_ended = made['slow'], ended")
    cell = run_slow(notebook)
    wait_for_slow(notebook, cell)
    notebook.until("not old._thread.is_alive()")
    assert notebook.ask("[old_ended, ended]") == [[], [0]]


def test_an_error_is_one_red_line(notebook):
    cell = cell_of(notebook, "picky")
    press(cell, "n", "ArrowRight")
    alert = cell.get_by_role("alert")
    alert.wait_for()
    assert "ZeroDivisionError: division by zero" in alert.inner_text()
    cell.locator("img.widget-image").wait_for(state="hidden")
    assert not alert.locator("pre").is_visible()
    press(cell, "n", "ArrowLeft")
    cell.locator("img.widget-image").wait_for()


def test_everything_has_a_name(notebook):
    for name in EXPLORERS:
        notebook.page.wait_for_function(
            """(cell) => [...cell.querySelectorAll(".mdm-explorer [role=slider]")].every((e) => e.ariaLabel)
               && [...cell.querySelectorAll("img.widget-image")].every((e) => e.alt)""",
            arg=cell_of(notebook, name).element_handle(),
        )


@pytest.mark.parametrize("width", [1200, 700])
def test_nothing_is_wider_than_the_page(notebook, width):
    notebook.page.set_viewport_size({"width": width, "height": 900})
    for name in EXPLORERS:
        area = cell_of(notebook, name).locator(".mdm-explorer").element_handle()
        notebook.page.wait_for_function(
            "([area, width]) => innerWidth === width && area.scrollWidth <= area.clientWidth + 1", arg=[area, width]
        )


def test_the_stored_output_has_a_picture_for_where_widgets_cannot_run(notebook):
    for outputs in notebook.outputs()[1:5]:
        (output,) = outputs
        assert output["data"]["image/png"]
        assert re.match(r"<Explorer of .*>", "".join(output["data"]["text/plain"]))
