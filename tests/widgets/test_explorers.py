"""The explorers, with a shipped model."""

import subprocess
import sys
import warnings
from collections import deque
from dataclasses import replace
from threading import Semaphore

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mdm_lib import PRESETS, InputError, generate, load_clips, train
from mdm_lib.motion.windows import first_clip
from mdm_lib.sampling import sample
from mdm_lib.visualise.inspect import attention
from mdm_lib.visualise.plots import plot_attention, plot_noise
from mdm_lib.widgets.explorers import attention_explorer, gallery, noise_explorer, sampler_explorer  # fmt: skip


@pytest.fixture(scope="module")
def clips():
    return load_clips("synthetic:60")


@pytest.fixture(scope="module")
def checkpoint(clips):
    config = replace(PRESETS["tiny"], latent_dim=32, num_layers=2, ff_size=64, num_timesteps=20, num_frames=40)
    return deque(train(clips, config, steps=60), maxlen=1).pop().checkpoint()


def another_value(control):
    """A value that a control does not have now."""
    if hasattr(control, "options"):
        return next(option for option in control.options if option != control.value)
    return control.value - 1 if control.value > control.min else control.value + 1


# long work -----------------------------------------------------------------------------------------------------------


# the explorers -------------------------------------------------------------------------------------------------------

EXPLORERS = {
    "noise": lambda checkpoint, clips: noise_explorer(clips),
    "attention": attention_explorer,
    "sampler": lambda checkpoint, clips: sampler_explorer(checkpoint),
    "gallery": lambda checkpoint, clips: gallery(checkpoint),
}


@pytest.mark.parametrize("name", EXPLORERS)
def test_every_control_changes_the_picture(name, checkpoint, clips):
    explorer = EXPLORERS[name](checkpoint, clips)
    assert {type(c).__name__ for c in explorer.controls.values()} <= {"IntSlider", "FloatSlider", "Dropdown"}
    for control_name, control in explorer.controls.items():
        if name == "sampler":
            explorer.controls["sampler"].value = "ddim"  # DDPM has no number of steps
        before = explorer.stage.png()
        control.value = another_value(control)
        assert explorer.error is None
        assert explorer.stage.png() != before, control_name
    assert len(explorer.stage.png()) < 150_000
    assert "image/png" in explorer._repr_mimebundle_()[0]


def test_the_noise_explorer_shows_the_clip_beside_its_noise(clips):
    explorer = noise_explorer(clips)
    player = explorer.stage.items["skeleton"]
    explorer.controls["t"].value = 0
    clip = first_clip(clips, "warm_up")
    np.testing.assert_allclose(player.motion[0], clip[0], atol=1e-5)
    errors = []
    for t in (0, 100, 900):
        explorer.controls["t"].value = t
        errors.append(np.abs(player.motion[1] - player.motion[0]).mean())
    assert 0 < errors[0] < errors[1] < errors[2]


def test_attention_is_that_of_the_forward_pass(checkpoint):
    """The map of the last layer, used by hand, gives what that layer gives."""
    seen = []
    block, x_t = checkpoint.model.blocks[1], torch.randn(1, 40, 66, generator=torch.Generator().manual_seed(0))
    hook = block.register_forward_hook(lambda _, args, output: seen.append((args[0], output)))
    with torch.no_grad():
        checkpoint.model(x_t, torch.tensor([5]), torch.tensor([1]))
    hook.remove()
    weights = attention(checkpoint, x_t, 5, checkpoint.label_names[1], 1)
    assert weights.shape == (4, 42, 42)
    x, output = seen[0]
    with torch.no_grad():
        attended = (weights @ block.heads(x)[2][0]).transpose(0, 1).flatten(1)
        middle = x[0] + block.out(attended)
        torch.testing.assert_close(middle + block.mlp(block.norm2(middle)), output[0], atol=1e-5, rtol=1e-4)


def test_the_attention_explorer_stops_at_the_frame_that_asks(checkpoint, clips):
    explorer = attention_explorer(checkpoint, clips)
    explorer.controls["frame"].value = 13
    player = explorer.stage.items["skeleton"]
    assert (player.frame, player.playing) == (13, False)


def test_the_sampler_explorer_ends_where_generate_does_and_scrubs_without_sampling(checkpoint, monkeypatch):
    explorer = sampler_explorer(checkpoint)
    controls = explorer.controls
    (player,) = explorer.stage.children
    expected = generate(checkpoint, "walk", num_steps=7, seed=3)
    controls["action"].value, controls["steps"].value, controls["seed"].value = "walk", 7, 3
    assert (controls["step"].value, controls["step"].max) == (7, 7)
    np.testing.assert_allclose(player.motion[1], expected[0], atol=1e-5)
    monkeypatch.setattr("mdm_lib.widgets.explorers.sample", None)
    controls["step"].value = 1
    assert explorer.error is None and np.abs(player.motion[1] - expected[0].numpy()).max() > 0.001


def test_ddpm_takes_all_steps(checkpoint):
    controls = sampler_explorer(checkpoint).controls
    controls["steps"].value = 5
    controls["sampler"].value = "ddpm"
    assert controls["steps"].disabled and controls["step"].max == controls["step"].value == 20


def test_scrubbing_while_it_samples_goes_on_with_the_same_sampling(checkpoint, monkeypatch, reader):
    begun, turns = [], Semaphore(0)

    def counted(*args, **options):
        begun.append(options["sampling"].seed)
        for step in sample(*args, **options):
            assert turns.acquire(timeout=600)
            yield step

    monkeypatch.setattr("mdm_lib.widgets.explorers.sample", counted)
    explorer = sampler_explorer(checkpoint)
    for step in (9, 4):
        turns.release(3)
        explorer.controls["step"].value = step
    turns.release(100)
    (player,) = explorer.wait().stage.children
    assert begun == [0]
    assert player._scene["captions"] == ["x_t, t = 16", "pred_x0, t = 16"]


def test_the_gallery_has_every_action_with_every_seed(checkpoint):
    explorer = gallery(checkpoint, ["walk", "sit"], seeds=(5, 6))
    (player,) = explorer.stage.children
    assert len(player.motion) == 4
    expected = generate(checkpoint, ["walk", "sit"], num_steps=10, seed=6)
    np.testing.assert_allclose(player.motion[2:], expected, atol=1e-5)
    explorer.controls["view"].value = "film strips"
    assert isinstance(explorer.stage.children[0], ipywidgets.Image)


def test_an_unknown_action_is_an_input_error(checkpoint):
    with pytest.raises(InputError, match="did you mean 'walk'"):
        gallery(checkpoint, ["wakl"])


def test_the_package_does_not_load_widgets():
    code = "import sys, mdm_lib; assert not {'ipywidgets', 'anywidget', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_plots_do_without_what_makes_matplotlib_slow():
    """That is logarithmic axes, and pyplot, which keeps every figure; benchmarks/explorers.py has the times."""
    curve = torch.linspace(0.9, 0.1, 60)
    for figure in (plot_attention(torch.eye(42), 3), plot_noise(curve, curve, "x", curve, 10)):
        assert {axes.get_xscale() for axes in figure.axes} | {axes.get_yscale() for axes in figure.axes} == {"linear"}
    code = "import sys, mdm_lib.widgets; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_explorers_plots_draw_without_a_warning_in_the_courses_style():
    """The style lays plots out by itself, which these do by hand; matplotlib warns of the two together."""
    curve = torch.linspace(0.9, 0.1, 60)
    with plt.style.context("mdm_lib.visualise.course"), warnings.catch_warnings():
        warnings.simplefilter("error")
        for figure in (plot_attention(torch.eye(42), 3), plot_noise(curve, curve, "x", curve, 10)):
            FigureCanvasAgg(figure).draw()
