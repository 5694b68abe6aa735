"""The recogniser: what it learns, and what it does not look at."""

import pytest
import torch
from helpers import standing

from mdm_lib import InputError, load_clips
from mdm_lib.data import synthetic_clips
from mdm_lib.evaluation import measures, recogniser
from mdm_lib.evaluation.recogniser import Recogniser, body_view, load_recogniser, train_recogniser
from mdm_lib.motion.geometry import turn
from mdm_lib.motion.windows import random_windows
from mdm_lib.sampling import hold_last_pose


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def quick_recogniser():
    """One that has learnt for 3 seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recogniser, "STEPS", 60)
        yield train_recogniser(synthetic_clips(240, seed=1))


def test_it_learns(quick_recogniser):
    unseen = synthetic_clips(120, seed=2)
    joints, mask, labels = random_windows(unseen, torch.arange(120), 60, with_mirror=False, generator=seeded())
    answer = quick_recogniser.recognise(joints, mask.sum(1))
    assert answer.logits.shape == (120, 12) and answer.features.shape == (120, recogniser.NUM_FEATURES)
    assert measures.accuracy(answer.logits, labels) > 0.9


def test_training_is_seeded_and_disturbs_no_other_draw(monkeypatch):
    monkeypatch.setattr(recogniser, "STEPS", 3)
    few = synthetic_clips(24)
    torch.manual_seed(0)
    first, draw = train_recogniser(few, 30, seed=4), torch.rand(1)
    torch.manual_seed(0)
    assert torch.rand(1) == draw
    same, other = train_recogniser(few, 30, seed=4), train_recogniser(few, 30, seed=5)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.stem.weight, other.stem.weight)
    monkeypatch.undo()
    as_many = train_recogniser(few, 30, seed=4, steps=3)
    assert torch.equal(first.stem.weight, as_many.stem.weight)


def test_place_heading_and_padding_do_not_matter(quick_recogniser, clips):
    joints, lengths = clips.joints[:12, :60], clips.lengths[:12].clamp(max=60)
    moved = turn(joints, torch.linspace(-3, 3, 12)) + torch.tensor([3.0, 0.0, 1.0])
    padded = torch.cat([hold_last_pose(joints, lengths), torch.full((12, 21, 22, 3), torch.nan)], 1)
    for other in (moved, padded):
        ours, theirs = (quick_recogniser.recognise(j, lengths).features for j in (joints, other))
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)


def test_body_view_is_in_metres_and_metres_a_second():
    travelling = standing() + 0.05 * torch.arange(40)[:, None, None] * torch.tensor([0.0, 0.0, 1.0])
    relative, velocity = body_view(turn(travelling, torch.tensor([1.0]))).unflatten(2, (2, 22, 3)).unbind(2)
    assert relative[..., 0, [0, 2]].abs().max() < 1e-5
    torch.testing.assert_close(velocity[:, 1:].norm(dim=-1), torch.ones(1, 39, 22), atol=1e-3, rtol=0)
    assert (velocity[:, 0] == 0).all()


def test_statistics_are_those_of_the_real_frames():
    inputs, mask = torch.randn(2, 30, 5, generator=seeded()), torch.arange(30) < torch.tensor([[30], [12]])
    mean, deviation = recogniser.statistics(inputs, mask).unflatten(1, (2, 5)).unbind(1)
    torch.testing.assert_close(mean[1], inputs[1, :12].mean(0))
    torch.testing.assert_close(deviation[1], inputs[1, :12].std(0, unbiased=False))


def test_recogniser_round_trip_and_damage(quick_recogniser, clips, tmp_path):
    path = quick_recogniser.save(tmp_path / "judge.pt")
    again = load_recogniser(path)
    assert again.label_names == clips.label_names
    ours, theirs = (r.recognise(clips.joints, clips.lengths) for r in (quick_recogniser, again))
    assert torch.equal(ours.logits, theirs.logits)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(InputError, match="damaged"):
        load_recogniser(path)
    with pytest.raises(InputError, match="no recogniser"):
        load_recogniser(tmp_path / "elsewhere.pt")
    torch.save({"recogniser": 99}, path)
    with pytest.raises(InputError, match="another version"):
        load_recogniser(path)


def test_it_reads_real_motion(humanact12_pickle, monkeypatch):
    monkeypatch.setattr(recogniser, "STEPS", 60)
    real = load_clips(f"humanact12:{humanact12_pickle}")
    answer = train_recogniser(real, 60).recognise(real.joints, real.lengths)
    assert measures.accuracy(answer.logits, real.labels) > 0.7


def test_mask_hides_frames_from_gradients():
    judge, joints = Recogniser(("a", "b")), standing().requires_grad_()
    judge(joints, torch.tensor([25])).logits.sum().backward()
    assert joints.grad[:, 25:].abs().max() == 0 < joints.grad[:, :25].abs().max()
