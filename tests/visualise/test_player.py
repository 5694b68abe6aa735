"""The player without a browser: what it sends, what it writes, what it refuses."""

import base64
import json
import re
import zlib
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mdm_lib
from mdm_lib.data.synthetic.clips import synthetic_clips
from mdm_lib.errors import InputError
from mdm_lib.motion.skeleton import JOINT_NAMES, side
from mdm_lib.visualise.player import MODULE, MotionPlayer

SOURCE = (Path(mdm_lib.__file__).parent / "visualise" / "player.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def clips():
    return synthetic_clips(24)


@pytest.fixture
def motion(clips) -> np.ndarray:
    return clips.joints[1, :60].numpy()


def sent(player) -> np.ndarray:
    """The joints as the browser reads them, metres."""
    scene = player._scene
    joints = np.frombuffer(player._data, "<i2").reshape(len(scene["lengths"]), scene["frames"], 22, 3)
    return joints * scene["unit"]


def test_a_motion_of_60_frames_is_light(motion):
    player = MotionPlayer(motion, captions=["walk"])
    assert len(player.to_html().encode()) < 25_000
    assert len(player._data) + len(player._esm) + len(json.dumps(player._scene)) < 25_000


def test_what_is_sent_is_right_to_half_a_millimetre(motion):
    assert np.abs(sent(MotionPlayer(motion))[0] - motion).max() <= 0.0005 + 1e-6


def test_far_away_motion_is_sent_whole(motion):
    far = motion + np.array([100.0, 0, 0])
    assert np.abs(sent(MotionPlayer(far))[0] - far).max() < 0.002


@pytest.mark.parametrize("kind", [torch.tensor, np.array, np.float16, lambda joints: joints[None].tolist()])
def test_tensors_arrays_and_lists(motion, kind):
    assert MotionPlayer(kind(motion)).motion.shape == (1, 60, 22, 3)


def test_padding_is_never_sent(clips):
    n = [1, 2]
    joints = clips.joints[n].clone()
    for i, length in enumerate(clips.lengths[n]):
        joints[i, length:] = torch.nan
    player = MotionPlayer(joints, clips.lengths[n])
    shown = sent(player)
    for i, length in enumerate(clips.lengths[n].tolist()):
        assert np.abs(shown[i, length:] - shown[i, length - 1]).max(initial=0) == 0
    assert player._scene["frames"] == max(clips.lengths[n])


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda m: np.where(np.arange(60)[:, None, None] == 7, np.nan, m), "NaN.*frame 7"),
        (lambda m: m[:, :21], "22, 3"),
        (lambda m: m[:0], "22, 3"),
        (lambda m: "walk", "one tensor or array"),
    ],
)
def test_a_bad_motion_is_refused_at_once_and_changes_nothing(motion, change, message):
    with pytest.raises(InputError, match=message):
        MotionPlayer(change(motion))
    player = MotionPlayer(motion)
    before = player._data
    with pytest.raises(InputError, match=message):
        player.motion = change(motion)
    assert player._data == before


@pytest.mark.parametrize(
    "wrong", [{"captions": ["a", "b"]}, {"lengths": [61]}, {"layout": "stack"}, {"fps": 0}, {"speed": -1}]
)
def test_a_bad_argument_is_refused(motion, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        MotionPlayer(motion, **wrong)


def test_a_new_motion_keeps_frame_captions_and_controls(motion):
    player = MotionPlayer(motion, captions=["walk"], speed=0.5, playing=False, ghosts=True)
    player.frame = 50
    player.motion = motion[:40] + 1
    assert (player.frame, player.speed, player.playing, player.ghosts) == (39, 0.5, False, True)
    assert player._scene["captions"] == ["walk"]
    assert np.abs(sent(player)[0] - motion[:40] - 1).max() < 0.001
    player.update(np.stack([motion, motion]), lengths=[20, 30], captions=["a", "b"])
    assert player._scene["captions"] == ["a", "b"]
    assert player._scene["frames"] == 30


def test_an_update_is_one_message(motion):
    player, messages = MotionPlayer(motion), []
    player._send = lambda message, buffers=None: messages.append(message)
    player.motion = motion[:30]
    assert len([m for m in messages if m["method"] == "update"]) == 1


def test_frames_outside_are_brought_inside(motion):
    player = MotionPlayer(motion)
    player.frame = 1000
    assert player.frame == 59
    player.frame = -5
    assert player.frame == 0


def test_the_camera_goes_along_with_who_travels(clips):
    walk, phone = (int((clips.labels == clips.label_names.index(name)).nonzero()[0]) for name in ("walk", "phone"))
    assert MotionPlayer(clips.joints[walk], clips.lengths[[walk]]).follow
    assert not MotionPlayer(clips.joints[phone], clips.lengths[[phone]]).follow
    assert MotionPlayer(clips.joints[phone], follow=True).follow


def test_html_is_the_same_every_time_and_for_each_motion_another(motion):
    def page(**options):
        return MotionPlayer(motion, **options).to_html()

    assert page() == page()
    assert len({re.search('id="(.*?)"', html).group(1) for html in (page(), page(captions=["walk"]))}) == 2


def test_html_asks_no_other_host(motion, tmp_path):
    page = MotionPlayer(motion).save_html(tmp_path / "deep" / "page.html").read_text()
    for text in (page, SOURCE):
        assert not re.search(r"https?:|//[a-z]+\.|@import|<link|\ssrc=|url\(", text)
    assert page.isascii()


def test_html_carries_the_module_itself(motion):
    packed = re.search(r'atob\("([^"]+)"\)', MotionPlayer(motion).to_html()).group(1)
    assert zlib.decompress(base64.b64decode(packed)).decode() == SOURCE
    assert MODULE in MotionPlayer(motion)._esm


class Tags(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.names, self.attributes = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)
        self.attributes += attrs


NASTY = ["</script><script>alert(1)</script>", '"><img onerror=x>', "<!--<script>", "歩く & \u2028"]


@pytest.mark.parametrize("text", NASTY)
def test_captions_cannot_leave_the_script(motion, text, tmp_path):
    player = MotionPlayer(motion, captions=[text], title=text)
    assert Tags(player.to_html()).names == ["div", "script"]
    page = player.save_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert Tags(page).names == ["html", "meta", "title", "meta", "style", "div", "script"]


def test_a_page_that_cannot_be_written(motion, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        MotionPlayer(motion).save_html(tmp_path / "file" / "page.html")


def test_a_notebook_stores_a_film_strip_with_a_description(motion):
    data, metadata = MotionPlayer(motion, captions=["walk"], title="First")._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    picture = base64.b64decode(data["image/png"])
    assert Image.open(BytesIO(picture)).width > 500
    assert len(picture) < 30_000
    assert "1 motion of 3.0 s: First: walk" in data["text/plain"]
    assert metadata["image/png"]["alt"] == "Film strip. 1 motion of 3.0 s: First: walk"


def test_the_body_is_the_packages(motion):
    body = MotionPlayer(motion)._scene["body"]
    assert all(side(child) == name for _, child, name in body["bones"])
    assert JOINT_NAMES[body["head"]] == "head"


def test_a_report_that_crossed_a_pause_on_its_way_is_dropped():
    player = MotionPlayer(np.zeros((60, 22, 3)))
    player.set_state({"frame": 20, "_ticks": 1})
    assert player.frame == 20
    player.playing, player.frame = False, 33
    player.set_state({"frame": 55, "_ticks": 2})  # by the clock
    assert player.frame == 33
    player.set_state({"frame": 40})  # by the reader's hand
    assert player.frame == 40
