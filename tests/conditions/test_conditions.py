"""A condition is a module: the package asks it for tokens, mask, number and dropped form, whatever it is about."""

from collections import deque
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from mdm_lib import MDM, PRESETS, InputError, NoiseScheduler, generate, load_checkpoint, load_clips, train
from mdm_lib.conditions import VOCABULARIES, ActionCondition, ActionVocabulary
from mdm_lib.guidance import guided
from mdm_lib.ideal import IdealForClips
from mdm_lib.visualise import attention, plot_attention, plot_denoiser, told_names

SIZES = {"latent_dim": 16, "num_layers": 2, "num_heads": 2, "ff_size": 32, "dropout": 0.0}


class Height(nn.Module):
    """A toy: how tall somebody is, in up to three tokens (as many as the whole metres), NaN where nobody says."""

    name, num_tokens = "metre", 3

    def __init__(self, latent_dim: int):
        super().__init__()
        self.tokens = nn.Linear(1, 3 * latent_dim)

    def forward(self, height: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.tokens(height.nan_to_num()[:, None]).unflatten(1, (3, -1))
        return tokens, torch.arange(3, device=height.device) < height.nan_to_num()[:, None]

    def drop(self, height: Tensor, where: Tensor) -> Tensor:
        return height.masked_fill(where, torch.nan)


@dataclass(frozen=True)
class Heights:
    """Its vocabulary."""

    keyword = "height"

    @classmethod
    def fit(cls, clips):
        return cls()

    def condition(self, latent_dim: int) -> Height:
        return Height(latent_dim)

    def of_clips(self, clips) -> tuple[Tensor, Tensor]:
        height = 1.7 * clips.factors["scale"].to(clips.joints.device)
        return torch.stack([height, height]), torch.ones_like(height, dtype=torch.bool)

    def encode(self, requests) -> Tensor:
        return torch.tensor([float(request) for request in requests])

    def to_plain(self) -> list:
        return []

    @classmethod
    def from_plain(cls, _) -> "Heights":
        return cls()


def test_the_action_is_one_token_and_its_dropped_form_the_last_row():
    condition = ActionCondition(3, 8)
    tokens, told_mask = condition(torch.tensor([2, 0]))
    assert tokens.shape == (2, 1, 8) and told_mask is None
    assert torch.equal(tokens[:, 0], condition.table.weight[[2, 0]])
    dropped = condition.drop(torch.tensor([2, 0]), torch.tensor([False, True]))
    assert dropped.tolist() == [2, 3]


def test_action_names_and_ids_become_labels_and_unknown_ones_are_refused():
    vocabulary = ActionVocabulary(("walk", "run"))
    assert vocabulary.encode(["run", 0, "1"]).tolist() == [1, 0, 1]
    assert ActionVocabulary.from_plain(vocabulary.to_plain()) == vocabulary
    with pytest.raises(InputError, match="did you mean 'walk'"):
        vocabulary.encode(["wlak"])


def test_mdm_builds_the_actions_condition_unless_it_is_given_one():
    assert isinstance(MDM(3, 22, **SIZES).condition, ActionCondition)
    condition = Height(16)
    assert MDM(3, 22, condition=condition, **SIZES).condition is condition


def test_hidden_condition_tokens_and_hidden_frames_are_seen_by_nobody():
    torch.manual_seed(0)
    model = MDM(0, 22, condition=Height(16), **SIZES).eval()
    x_t, t = torch.randn(2, 6, 66), torch.tensor([3, 3])
    heights, mask = torch.tensor([0.5, 2.5]), torch.tensor([[True] * 6, [True] * 4 + [False] * 2])
    x, told_mask = model.tokens(x_t, t, heights)
    assert x.shape == (2, 3 + 1 + 6, 16) and told_mask.tolist() == [[True, False, False], [True, True, True]]
    before = model(x_t, t, heights, mask)
    with torch.no_grad():  # the second and third token of who is half a metre tall
        model.condition.tokens.bias[16:] += 10 * torch.randn(32)
    after = model(x_t, t, heights, mask)
    torch.testing.assert_close(before[0], after[0])
    assert (before[1] - after[1]).abs().max() > 1e-3
    padded = torch.where(mask[..., None], x_t, 100.0)
    torch.testing.assert_close(model(padded, t, heights, mask)[:, :4], after[:, :4])


def test_guidance_and_the_ideal_denoiser_ask_the_condition_what_dropped_means():
    torch.manual_seed(0)
    model, condition = MDM(0, 22, condition=Height(16), **SIZES).eval(), torch.tensor([1.6, 1.8])
    x_t, t = torch.randn(2, 6, 66), torch.tensor([3, 3])
    nobody = model(x_t, t, torch.full((2,), torch.nan))
    expected = nobody + 2.5 * (model(x_t, t, condition) - nobody)
    torch.testing.assert_close(guided(model, condition, 2.5)(x_t, t), expected, rtol=1e-4, atol=1e-5)
    pairs = torch.tensor([[1, 2], [1, 3], [1, 3]])  # a condition may be several numbers: here two

    class Pairs:
        def drop(self, pair, where):
            return torch.where(where[:, None], -1, pair)

    clips = torch.randn(3, 6, 66)
    ideal = IdealForClips(NoiseScheduler(10), clips, pairs, Pairs())
    torch.testing.assert_close(ideal(x_t[:1], t[:1], torch.tensor([[1, 2]])), clips[:1])
    two = IdealForClips(NoiseScheduler(10), clips[1:])(x_t[:1], t[:1])
    torch.testing.assert_close(ideal(x_t[:1], t[:1], torch.tensor([[1, 3]])), two)
    torch.testing.assert_close(ideal(x_t, t, torch.full((2, 2), -1)), ideal(x_t, t))


def test_another_condition_is_trained_saved_opened_sampled_and_drawn(monkeypatch, tmp_path):
    """A new condition is a file and a line in ``VOCABULARIES``: nothing else is told of it."""
    monkeypatch.setitem(VOCABULARIES, "height", Heights)
    config = replace(PRESETS["tiny"], condition="height", num_timesteps=10, num_frames=20, batch_size=8, **SIZES)
    trainer = deque(train(load_clips("synthetic:24"), config, steps=3), maxlen=1).pop()
    checkpoint = load_checkpoint(trainer.checkpoint().save(tmp_path / "tall.pth"))
    assert checkpoint.vocabulary == Heights()
    motions = generate(checkpoint, [1.6, 1.9], 2, num_steps=3, guidance_scale=2.0)
    assert motions.shape == (4, 20, 22, 3) and motions.isfinite().all()
    weights = attention(checkpoint, torch.randn(1, 20, 66), 5, 1.9, layer=1)
    assert weights.shape == (2, 24, 24) and (weights[:, :, 2] == 0).all()  # 1.9 has two tokens: nobody sees the third
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 24))
    assert told_names(checkpoint.model) == ("metre 1", "metre 2", "metre 3", "time")
    plot_attention(weights[0], 3, told_names(checkpoint.model))
    picture = plot_denoiser(checkpoint.model, torch.randn(2, 20, 66), torch.tensor([1, 2]), torch.tensor([1.6, 1.9]))
    assert {"metre 1", "metre 3", "[2, 3, 16]", "[2, 24, 16]"} <= {text.get_text() for text in picture.axes[0].texts}
