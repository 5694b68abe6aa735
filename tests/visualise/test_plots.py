"""The plots that are drawn by code of the package."""

import matplotlib.pyplot as plt
import pytest
import torch

from mdm_lib import MDM
from mdm_lib.evaluation.score_table import draw_scores, steps_away
from mdm_lib.evaluation.scorecard import Figure as Score
from mdm_lib.evaluation.scorecard import Scorecard
from mdm_lib.visualise.plots import plot_attention, plot_denoiser, plot_noise


def model_and_batch(num_layers: int, num_frames: int):
    model = MDM(3, 22, latent_dim=16, num_layers=num_layers, ff_size=32, num_features=10)
    return model, torch.randn(2, num_frames, 10), torch.tensor([1, 5]), torch.tensor([0, 2])


@pytest.mark.parametrize("num_layers, num_frames", [(1, 30), (2, 7), (5, 60), (8, 8)])
def test_the_denoisers_picture_shows_the_real_shapes(num_layers, num_frames):
    axes = plot_denoiser(*model_and_batch(num_layers, num_frames)).axes[0]
    texts = [text.get_text() for text in axes.texts]
    shown = min(num_layers, 5) if num_layers <= 5 else 3
    assert texts.count(f"[2, {num_frames + 2}, 16]") == shown + 3  # tokens, encoding, blocks, norm
    assert texts.count(f"[2, {num_frames}, 10]") == 2  # x_t and pred_x0
    assert texts.count("[2, 1, 16]") == 1 and texts.count("[2, 16]") == 1 and texts.count(f"[2, {num_frames}, 16]") == 1
    assert {"action", "time", "0", str(num_frames - 1), f"blocks[{num_layers - 1}]: attention, feed-forward"} <= {
        *texts
    }
    assert ("… 5 more" in texts) == (num_layers == 8)
    low, high = axes.get_ylim()
    assert all(low <= patch.get_y() and patch.get_y() + patch.get_height() <= high for patch in axes.patches)


def test_the_denoisers_picture_leaves_no_hook_behind():
    model, *batch = model_and_batch(2, 7)
    plot_denoiser(model, *batch)
    assert not any(part._forward_hooks for part in model.modules())
    with pytest.raises(RuntimeError):
        plot_denoiser(model, batch[0][..., :4], *batch[1:])
    assert not any(part._forward_hooks for part in model.modules())


@pytest.mark.filterwarnings("error")
def test_the_courses_style_does_not_disturb_the_plots():
    """Their places are written down; constrained layout would warn, in red, in every chapter with an explorer."""
    curve = torch.linspace(0.9, 0.1, 20)
    with plt.style.context("mdm_lib.visualise.course"):
        for figure in (
            plot_attention(torch.eye(42), 3),
            plot_noise(curve, curve, "x", curve, 10),
            plot_denoiser(*model_and_batch(2, 7)),
        ):
            figure.canvas.draw()


def test_the_scores_are_drawn_with_their_distance_from_real_motion():
    def card(value, real):
        return Scorecard({}, (Score("FID", "", value, None, real, 0.1), Score("FID", "walk", 9.0, None, 9.0, 0.1)))

    assert steps_away(Score("FID", "", 0.7, None, 0.2, 0.1)) == pytest.approx(5)
    assert steps_away(Score("skating ratio", "", 0.5, None, 2.0, None)) == pytest.approx(15)  # a twentieth of 2
    assert steps_away(Score("bone drift, %", "", 0.005, None, 0.0, 0.0)) == pytest.approx(1)
    shared = draw_scores({"good": card(0.2, 0.2), "bad": card(9.0, 0.2), "none": Scorecard({}, ())}).axes[0]
    texts = [text.get_text() for text in shared.texts]
    assert texts.count("0.20") == 2 and texts.count("9.00") == 1 and "real motion" in texts
    white, dark, *_ = [patch.get_facecolor() for patch in shared.patches]
    assert white == (1, 1, 1, 1) and dark != white
    apart = draw_scores({"a": card(123.4, 0.2), "b": card(1.0, 0.5)}).axes[0]
    texts = [text.get_text() for text in apart.texts]
    assert {"123", "real 0.20", "real 0.50"} <= {*texts} and "real motion" not in texts
