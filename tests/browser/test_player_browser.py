"""The player in a real browser: in JupyterLab, and as a page of its own."""

import numpy as np
import pytest
import test_other_skeletons as other_skeletons

from mdm_lib import load_clips
from mdm_lib.visualise.player import MotionPlayer

MAKE_PLAYER = """
from mdm_lib import load_clips
from mdm_lib.visualise.player import MotionPlayer
clips = load_clips("synthetic:24")
player = MotionPlayer(clips.joints[1, :60], captions=["walk"], playing=False)
player
"""
#: A number that tells one picture of a canvas from another.
INK = """(nth) => { const canvas = document.querySelectorAll('.mdm-stage canvas')[nth];
    return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data
        .reduce((sum, value, i) => (31 * sum + value) % 1000003, 7) }"""


@pytest.fixture(scope="module")
def clips():
    return load_clips("synthetic:24")


@pytest.fixture(scope="module")
def notebook(lab):
    """One open notebook with a player, and a second cell that has set its frame."""
    with lab.open([MAKE_PLAYER, "player.frame = 17"]) as notebook:
        notebook.run()
        notebook.page.wait_for_selector(".mdm-stage canvas")
        yield notebook


def ink(page, nth: int = 0) -> int:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate(INK, nth)


def wait_for_ink(page, was: str, before: int):
    """Until the first canvas shows another picture than ``before`` (``was`` is "!=="), or that one again ("===")."""
    page.wait_for_function(f"(before) => ({INK})(0) {was} before", arg=before)


def frame(page) -> int:
    return int(page.locator(".mdm-scrub").input_value())


def wait_for_frame(page, condition: str):
    page.wait_for_function(f"() => {{ const f = +document.querySelector('.mdm-scrub').value; return {condition} }}")


def test_a_second_cell_sets_the_frame(notebook):
    wait_for_frame(notebook.page, "f === 17")
    notebook.tell("player.frame = 21")
    wait_for_frame(notebook.page, "f === 21")
    assert notebook.page.locator(".mdm-time").text_content() == "1.05 / 3.00 s"


def test_play_advances_the_frame_here_and_in_python(notebook):
    page = notebook.page
    start = frame(page)
    page.locator(".mdm-play").click()
    notebook.until("player.playing")
    wait_for_frame(page, f"f !== {start}")
    page.locator(".mdm-play").click()
    page.wait_for_function("document.querySelector('.mdm-play').title === 'Play'")
    notebook.until(f"not player.playing and player.frame == {frame(page)}")


def test_python_plays_and_pauses_and_is_told_the_frame_now_and_then(notebook):
    page = notebook.page
    notebook.tell("heard = []; player.observe(lambda change: heard.append(change.new), 'frame')")
    begun = page.evaluate("performance.now()")
    notebook.tell("player.playing = True")
    page.wait_for_function("document.querySelector('.mdm-play').title === 'Pause'")
    notebook.until("len(heard) >= 5")
    reports = notebook.ask("len(heard)")
    assert reports <= (page.evaluate("performance.now()") - begun) / 200 + 2
    notebook.tell("player.playing = False; player.frame = 33")
    page.wait_for_function("document.querySelector('.mdm-play').title === 'Play'")
    wait_for_frame(page, "f === 33")
    page.wait_for_timeout(300)  # in which a report from before the pause could still spoil it
    assert notebook.ask("player.frame") == 33 == frame(page)


def test_drag_turns_and_double_click_resets(notebook):
    page = notebook.page
    page.locator(".mdm-stage").scroll_into_view_if_needed()
    before, box = ink(page), page.locator(".mdm-stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 80, y + 20, steps=4)
    page.mouse.up()
    wait_for_ink(page, "!==", before)
    turned = ink(page)
    page.mouse.wheel(0, -200)
    wait_for_ink(page, "!==", turned)
    page.mouse.dblclick(x, y)
    wait_for_ink(page, "===", before)


@pytest.mark.parametrize("part", [".mdm-stage", ".mdm-scrub"])
def test_keys_step_jump_and_play(notebook, part):
    page = notebook.page
    notebook.tell("player.playing, player.frame = False, 30")
    wait_for_frame(page, "f === 30")
    page.locator(part).focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home"):
        page.keyboard.press(key)
        seen.append(frame_after_drawing(page))
    assert seen == [31, 32, 31, 59, 0]
    notebook.until("player.frame == 0")
    page.keyboard.press("Space")
    wait_for_frame(page, "f > 2")
    page.keyboard.press("Space")
    notebook.until("not player.playing")


def frame_after_drawing(page) -> int:
    ink(page)
    return frame(page)


def test_a_new_motion_comes_in_place(notebook):
    page = notebook.page
    notebook.tell("player.playing, player.frame = False, 5")
    wait_for_frame(page, "f === 5")
    page.evaluate("document.querySelector('.mdm-stage canvas').marked = true")
    before = ink(page)
    notebook.tell("player.motion = clips.joints[5, :40]")
    page.wait_for_function("document.querySelector('.mdm-scrub').max === '39'")
    assert ink(page) != before
    assert frame(page) == 5
    assert page.evaluate("document.querySelector('.mdm-stage canvas').marked")
    notebook.tell("player.motion = clips.joints[1, :60]")
    page.wait_for_function("document.querySelector('.mdm-scrub').max === '59'")


def test_two_views_of_one_player_agree_and_one_can_go(lab):
    with lab.open([MAKE_PLAYER, "player"]) as notebook:
        notebook.run()
        page = notebook.page
        page.wait_for_function("document.querySelectorAll('.mdm-stage canvas').length === 2")
        page.locator(".mdm-scrub").first.focus()
        page.keyboard.press("End")
        page.wait_for_function("[...document.querySelectorAll('.mdm-scrub')].every((scrub) => scrub.value === '59')")
        page.evaluate("jupyterapp.shell.currentWidget.content.widgets[1].model.clearExecution()")
        page.wait_for_function("document.querySelectorAll('.mdm-stage canvas').length === 1")
        page.locator(".mdm-play").click()
        wait_for_frame(page, "f > 2 && f < 50")


def test_the_dark_theme_is_followed(notebook):
    page = notebook.page
    light = ink(page)
    change_theme(page, "JupyterLab Dark", "dark")
    wait_for_ink(page, "!==", light)
    change_theme(page, "JupyterLab Light", "light")
    wait_for_ink(page, "===", light)


def change_theme(page, theme: str, scheme: str):
    page.evaluate("(theme) => jupyterapp.commands.execute('apputils:change-theme', { theme })", theme)
    page.wait_for_function(f"document.body.dataset.jpThemeName === '{theme}'")
    page.wait_for_function(f"document.querySelector('.mdm-player').style.colorScheme === '{scheme}'")
    page.wait_for_timeout(500)  # JupyterLab stumbles over a change of theme while the last one still goes on


def test_a_failing_cell_fails_the_test(lab):
    with lab.open(["1 / 0"]) as notebook, pytest.raises(AssertionError, match="ZeroDivisionError"):
        notebook.run()


def test_a_reopened_untrusted_notebook_shows_the_film_strip(lab, clips):
    data, metadata = MotionPlayer(clips.joints[1, :60], captions=["walk"])._repr_mimebundle_()
    output = {"output_type": "display_data", "data": data, "metadata": metadata}
    with lab.open(["player"], outputs={0: [output]}) as notebook:
        picture = notebook.page.locator(".jp-RenderedImage img")
        picture.wait_for()
        assert picture.evaluate("(img) => img.naturalWidth") > 500
        assert notebook.page.locator(".mdm-player").count() == 0
        assert "Error displaying widget" not in notebook.page.content()


def test_an_exported_page_plays_offline(open_file, clips, tmp_path):
    page = open_file(MotionPlayer(clips.joints[1, :60], title="</script><b>&").save_html(tmp_path / "page.html"))
    page.wait_for_selector(".mdm-stage canvas")
    assert page.locator(".mdm-title").text_content() == "</script><b>&"
    first = ink(page)
    wait_for_frame(page, "f > 3")
    assert ink(page) != first


def test_an_exported_page_ends_where_it_should_without_a_loop(open_file, clips, tmp_path):
    page = open_file(MotionPlayer(clips.joints[1, :10], loop=False).save_html(tmp_path / "page.html"))
    page.wait_for_function("document.querySelector('.mdm-play')?.title === 'Play'")
    assert frame(page) == 9
    # half a second is over before a slow machine asks, so the page itself writes down what it shows
    page.evaluate(
        """() => { const scrub = document.querySelector(".mdm-scrub"), seen = (window.seen = []);
           (function look() { seen.push(+scrub.value); requestAnimationFrame(look) })() }"""
    )
    page.locator(".mdm-play").click()
    page.wait_for_function("seen.some((f) => f > 0 && f < 9) && seen.at(-1) === 9")


class Fingers:
    """Fingers on a touch screen."""

    def __init__(self, page):
        self.session = page.context.new_cdp_session(page)

    def _send(self, kind: str, places=()):
        points = [{"id": i, "x": x, "y": y} for i, (x, y) in enumerate(places)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def drag(self, *ways, steps: int = 8):
        """One finger for each ``(x, y, dx, dy)``: down, along its way, up."""
        self._send("touchStart", [(x, y) for x, y, _, _ in ways])
        for i in range(1, steps + 1):
            self._send("touchMove", [(x + dx * i / steps, y + dy * i / steps) for x, y, dx, dy in ways])
        self._send("touchEnd")


def test_one_finger_turns_or_scrolls_and_two_zoom(open_file, clips, tmp_path):
    fragment = MotionPlayer(clips.joints[1, :60], playing=False).to_html()
    path = tmp_path / "page.html"
    fragment = fragment.replace("player.mount(", "window.player = player.mount(")
    path.write_text(
        f'<!DOCTYPE html><meta name="viewport" content="width=device-width">{fragment}<p style="height: 2000px">'
    )
    page = open_file(path, has_touch=True, is_mobile=True, viewport={"width": 400, "height": 700})
    page.wait_for_function("window.player?.theme")
    fingers, home = Fingers(page), page.evaluate("player.view")
    fingers.drag((150, 200, 100, 0))
    page.wait_for_function(f"player.view.azimuth < {home['azimuth']}")
    turned = page.evaluate("player.view")
    assert turned["zoom"] == 1 and page.evaluate("scrollY") == 0
    fingers.drag((150, 200, -60, 0), (250, 200, 60, 0))
    page.wait_for_function("player.view.zoom > 1.5")
    assert page.evaluate("visualViewport.scale") == 1  # the player, not the page
    assert page.evaluate("player.pointers.size") == 0
    zoomed = page.evaluate("player.view")
    fingers.drag((200, 250, 0, -150))
    page.wait_for_function("scrollY > 50")
    assert page.evaluate("player.view.azimuth") == zoomed["azimuth"]


def test_reduced_motion_starts_paused(open_file, clips, tmp_path):
    path = MotionPlayer(clips.joints[1, :60]).save_html(tmp_path / "page.html")
    page = open_file(path, reduced_motion="reduce")
    page.wait_for_selector(".mdm-stage canvas")
    page.wait_for_timeout(400)
    assert frame(page) == 0
    assert page.locator(".mdm-play").get_attribute("title") == "Play"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_an_exported_page_has_the_colours_of_the_system(open_file, clips, tmp_path, scheme):
    path = MotionPlayer(clips.joints[1, :60], playing=False).save_html(tmp_path / "page.html")
    page = open_file(path, color_scheme=scheme)
    page.wait_for_selector(".mdm-stage canvas")
    page.wait_for_function(f"document.querySelector('.mdm-player').style.colorScheme === '{scheme}'")


@pytest.mark.parametrize("layout, canvases", [("side", 4), ("overlay", 1)])
@pytest.mark.parametrize("width", [320, 1280])
def test_four_people_fit_any_window(open_file, clips, tmp_path, layout, canvases, width):
    captions = ["walk", "a caption that is too long for its panel and wraps", "<i>jump</i>", "Supercalifragilistic" * 3]
    player = MotionPlayer(clips.joints[:4], clips.lengths[:4], captions, layout=layout, playing=False, ghosts=True)
    page = open_file(player.save_html(tmp_path / "page.html"), viewport={"width": width, "height": 900})
    page.wait_for_selector(".mdm-stage canvas")
    assert page.locator(".mdm-stage canvas").count() == canvases
    assert page.locator("figcaption i").count() == (4 if layout == "overlay" else 0)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for nth in range(canvases):
        assert not np.any(edges(page, nth)), "ink at the edge of a panel"


def edges(page, nth: int) -> list[int]:
    """The opacity of the pixels at a canvas's edge."""
    ink(page)
    return page.evaluate(
        """(nth) => { const canvas = document.querySelectorAll('.mdm-stage canvas')[nth];
        const { width: w, height: h } = canvas, context = canvas.getContext('2d');
        return [[0, 0, w, 1], [0, h - 1, w, 1], [0, 0, 1, h], [w - 1, 0, 1, h]].flatMap(
            (box) => [...context.getImageData(...box).data].filter((_, i) => i % 4 === 3)) }""",
        nth,
    )


def test_every_control_has_a_name_and_keeps_its_keys(open_file, clips, tmp_path):
    page = open_file(MotionPlayer(clips.joints[1, :60]).save_html(tmp_path / "page.html"))
    page.wait_for_selector(".mdm-stage canvas")
    for part in page.locator(".mdm-player :is([tabindex], button, input, select)").all():
        assert part.get_attribute("data-lm-suppress-shortcuts") == "true"
        assert part.get_attribute("aria-label") or part.text_content().strip()
    page.get_by_role("button", name="ghosts").click()
    page.get_by_role("button", name="ghosts", pressed=True).wait_for()  # shown with the next frame


def test_the_same_player_twice_on_a_page(open_file, clips, tmp_path):
    fragment = MotionPlayer(clips.joints[1, :60], playing=False).to_html()
    (tmp_path / "page.html").write_text(f"<!DOCTYPE html>{fragment}{fragment}")
    page = open_file(tmp_path / "page.html")
    page.wait_for_function("document.querySelectorAll('.mdm-player').length === 2")
    assert page.locator("div:empty[id^=mdm-player]").count() == 0


@pytest.mark.parametrize("name", other_skeletons.BODIES)
def test_other_skeletons_play_at_their_rate(open_file, tmp_path, name):
    """21 joints at 12.5 a second, and a toy of three without head and trunk; with ghosts and shadows, no error."""
    clips = other_skeletons.some_motion(*other_skeletons.BODIES[name])
    player = MotionPlayer(clips.joints[1], fps=clips.fps, skeleton=clips.skeleton, ghosts=True, trail=True)
    page = open_file(player.save_html(tmp_path / "page.html"))
    page.wait_for_selector(".mdm-stage canvas")
    before = ink(page)
    wait_for_ink(page, "!==", before)  # it moves
    assert page.locator(".mdm-time").text_content().endswith(f"/ {30 / clips.fps:.2f} s")
    colours = page.evaluate(
        """() => { const canvas = document.querySelector('.mdm-stage canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let blue = 0, red = 0;
        for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] > 0 && data[i + 2] - data[i] > 60) blue++;
            if (data[i + 3] > 0 && data[i] - data[i + 2] > 60) red++;
        }
        return [blue, red] }"""
    )
    assert min(colours) > 200  # left and right limbs
