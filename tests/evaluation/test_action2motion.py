"""The papers' recogniser: what it reads, what it sees, what it says of the embedded clips; the papers' protocol."""

import json
import pickle
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from helpers import made_up_action2motion
from torch.serialization import MAGIC_NUMBER

from mdm_lib import InputError, asset_path, load_checkpoint, load_clips
from mdm_lib.checkpoint import Checkpoint, build
from mdm_lib.commands.cli import main
from mdm_lib.conditions import ActionVocabulary
from mdm_lib.config import Config
from mdm_lib.data import MotionClips, synthetic_clips
from mdm_lib.data.humanact12 import HUMANACT12_ACTIONS
from mdm_lib.evaluation import judge as evaluation
from mdm_lib.evaluation import measures, papers
from mdm_lib.evaluation.action2motion import HAND, Action2Motion, camera_view, load_action2motion
from mdm_lib.evaluation.judge import Judge, evaluate
from mdm_lib.evaluation.papers import TABLE_3, evaluate_as_papers
from mdm_lib.evaluation.recogniser import Recognition, load_recogniser
from mdm_lib.evaluation.scorecard import Scorecard
from mdm_lib.motion.geometry import turn
from mdm_lib.motion.windows import cut_windows
from mdm_lib.sampling import hold_last_pose


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    return load_action2motion(made_up_action2motion(tmp_path_factory.mktemp("papers") / "a.tar"))


@pytest.fixture(scope="module")
def checkpoint():
    config = Config(latent_dim=16, num_layers=1, num_heads=2, ff_size=16, num_timesteps=10, num_frames=40)
    torch.manual_seed(0)
    vocabulary = ActionVocabulary(HUMANACT12_ACTIONS)
    representation, model = build(config, vocabulary)
    return Checkpoint(config, vocabulary, representation, model, "synthetic:60")


@pytest.fixture(scope="module")
def data():
    clips = synthetic_clips(144, seed=9)
    return MotionClips(clips.joints, clips.lengths, clips.labels, clips.label_names, "a data set")


@pytest.fixture(scope="module")
def card(made_up, checkpoint, data):
    with pytest.warns(UserWarning, match="60 frames are more than the 40"):
        return evaluate_as_papers(checkpoint, data, made_up, num_seeds=2, num_samples=100, num_steps=1)


# The file -----------------------------------------------------------------------------------------------------------


def test_both_layouts_of_torch_are_read(made_up, clips, tmp_path):
    torch.save({"model": made_up.state_dict()}, tmp_path / "new.pth")
    again = load_action2motion(tmp_path / "new.pth")
    joints, lengths = clips.joints[:4, :60], clips.lengths[:4].clamp(max=60)
    ours, theirs = (r.recognise(joints, lengths) for r in (made_up, again))
    assert ours.logits.shape == (4, 12) and ours.features.shape == (4, 30)
    assert torch.equal(ours.logits, theirs.logits) and torch.equal(ours.features, theirs.features)


def test_it_is_the_published_network(made_up, clips):
    """Written out: GRU, last output, tanh(linear1), linear2."""
    seen = camera_view(clips.joints[:3, :60])
    gru = torch.nn.GRU(72, 128, 2)
    gru.load_state_dict(made_up.recurrent.state_dict())
    with torch.no_grad():
        last = gru(seen.permute(1, 0, 2))[0][-1]
        features = torch.tanh(last @ made_up.linear1.weight.T + made_up.linear1.bias)
        logits = features @ made_up.linear2.weight.T + made_up.linear2.bias
        answer = made_up(seen)
    torch.testing.assert_close(answer.features, features)
    torch.testing.assert_close(answer.logits, logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"linear1.bias": None}, "lacks the weights 'linear1.bias'"),
        ({"linear3.bias": torch.zeros(2)}, "does not know, 'linear3.bias'"),
        ({"recurrent.weight_ih_l0": torch.zeros(384, 54)}, r"must be \[384, 72\] numbers, not \[384, 54\]"),
        ({"linear2.bias": torch.zeros(12, dtype=torch.int64)}, "not .* of torch.int64"),
        ({"linear2.bias": "twelve"}, "not 'twelve'"),
        ({"linear2.bias": torch.full((12,), torch.nan)}, "linear2.bias has NaN"),
    ],
)
def test_another_network_is_refused_by_what_is_wrong(changes, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load_action2motion(made_up_action2motion(tmp_path / "a.tar", **changes))


@pytest.mark.parametrize("content", [{"weights": 1}, [1, 2], 5, {}, {"model": [3]}], ids=str)
def test_other_content_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "a.tar", _use_new_zipfile_serialization=False)
    with pytest.raises(InputError, match="no dict 'model' of weights, but"):
        load_action2motion(tmp_path / "a.tar")


class Runs:
    def __reduce__(self):
        return exec, ("import pathlib; pathlib.Path('was_run').touch()",)


class OldFile(pickle.Pickler):
    def persistent_id(self, value):
        return ("storage", torch.FloatStorage, "0", "cpu", value.count, None) if hasattr(value, "count_me") else None


def old_file(path, content: bytes):
    head = [pickle.dumps(value, 2) for value in (MAGIC_NUMBER, 1001, {"little_endian": True})]
    path.write_bytes(b"".join([*head, content, pickle.dumps(["0"], 2), bytes(1000)]))
    return path


def test_code_in_an_old_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = old_file(tmp_path / "a.tar", pickle.dumps({"model": Runs()}, 2))
    with pytest.raises(InputError, match="more than weights"):
        load_action2motion(path)
    assert not (tmp_path / "was_run").exists()


def test_an_old_file_that_declares_what_is_not_there(tmp_path):
    pickled = BytesIO()
    OldFile(pickled, 2).dump({"model": SimpleNamespace(count_me=True, count=2**40)})
    with pytest.raises(InputError, match=r"declares 1,099,511,627,776 numbers and has"):
        load_action2motion(old_file(tmp_path / "a.tar", pickled.getvalue()))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\x80\x02}(" + b"N\x85" + b"2\x86" * 60 + b"Nu.", "would unpack to"),
     (b"\x80\x02](" + b"K\x01" * 600_000 + b"e.", "over 500,000 single objects"),
     (b"\x80\x02" + b"]" * 200 + b"a" * 199 + b".", "nests more than")],
    ids=["doubled", "many", "nested"],
)  # fmt: skip
def test_an_old_file_that_grows(content, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load_action2motion(old_file(tmp_path / "a.tar", content))


def test_an_old_file_does_not_pass_as_a_zip_file(made_up, tmp_path):
    """One with a harmless zip file at its end, which alone would be looked at, in readers that know zip files alone."""
    torch.save({"harmless": 1}, tmp_path / "end.pth")
    path = made_up_action2motion(tmp_path / "a.tar")
    path.write_bytes(path.read_bytes() + (tmp_path / "end.pth").read_bytes())
    with pytest.raises(InputError, match="does not begin as a zip file"):
        load_recogniser(path)


# What it sees -------------------------------------------------------------------------------------------------------


def test_it_sees_24_joints_before_a_camera(clips):
    joints = turn(clips.joints[:5, :60], torch.linspace(-3, 3, 5)) + torch.tensor([3.0, 1.0, -2.0])
    seen = camera_view(joints).unflatten(2, (24, 3))
    assert seen.shape == (5, 60, 24, 3) and seen[:, 0, 0].abs().max() < 1e-6
    assert (seen[:, 0, 15, 1] < -0.3).all() and (seen[:, 0, 7, 1] > 0.3).all()  # the head is up, where y is negative
    assert (seen[:, 0, 1, 0] > seen[:, 0, 2, 0]).all()  # who faces the camera has the left on its right
    forearm, hand = seen[:, :, 20:22] - seen[:, :, 18:20], seen[:, :, 22:] - seen[:, :, 20:22]
    torch.testing.assert_close(hand, 0.34 * forearm, atol=1e-5, rtol=0)
    bones = [(each[:, :, 5] - each[:, :, 2]).norm(dim=-1) for each in (joints, seen)]
    torch.testing.assert_close(*bones)  # a rotation, and no scale


def test_place_heading_and_what_comes_after_the_end_do_not_matter(made_up, clips):
    joints, lengths = clips.joints[:12, :60], clips.lengths[:12].clamp(max=50)
    moved = turn(joints, torch.linspace(-3, 3, 12)) + torch.tensor([3.0, 0.7, 1.0])
    padded = torch.where((torch.arange(60) < lengths[:, None])[..., None, None], joints, torch.nan)
    for other in (moved, padded, hold_last_pose(joints, lengths)[:, :50]):
        ours, theirs = (made_up.recognise(j, lengths).features for j in (joints, other))
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("shape", [(2, 61, 22, 3), (2, 60, 24, 3), (60, 22, 3), (2, 0, 22, 3)])
def test_motions_of_another_kind_are_refused(made_up, shape):
    with pytest.raises(InputError, match="at most 60 frames"):
        made_up.recognise(torch.zeros(shape), torch.tensor([60, 60]))


def test_a_true_clip_of_humanact12_is_fed_as_the_papers_feed_it(action2motion_file):
    """HumanML3D's 000001: with y up by negating y alone, so that left and right are exchanged; all 24 joints."""
    path = action2motion_file.parents[1] / "humanml3d_mini" / "joints" / "000001.npy"
    if not path.is_file():
        pytest.skip(f"needs {path.name} of HumanML3D, before processing, in {path.parent.name}")
    recogniser = load_action2motion(action2motion_file)
    original = torch.from_numpy(np.load(path)).float() * torch.tensor([1.0, -1.0, 1.0])
    elbows, wrists, hands = original[:, 18:20], original[:, 20:22], original[:, 22:]
    forearm, hand = (wrists - elbows).norm(dim=-1), (hands - wrists).norm(dim=-1)
    assert (hand / forearm).mean() == pytest.approx(HAND, abs=0.005)
    padded = torch.cat([original, original[-1:].expand(60 - len(original), -1, -1)])[None]
    with torch.no_grad():
        theirs = recogniser((padded - padded[:, :1, :1]).flatten(2))
    upright = original[None, :, :22] * torch.tensor([1.0, -1.0, -1.0])
    ours = recogniser.recognise(upright, torch.tensor([len(original)]))
    assert HUMANACT12_ACTIONS[theirs.logits.argmax()] == HUMANACT12_ACTIONS[ours.logits.argmax()] == "jump"
    torch.testing.assert_close(ours.features, theirs.features, atol=0.03, rtol=0)  # of features between -1 and 1


def test_what_it_says_of_the_embedded_clips(action2motion_file):
    clips = load_clips("synthetic")
    index = torch.arange(len(clips))
    joints, mask = cut_windows(clips, index, torch.zeros_like(index), 60)
    recogniser = load_action2motion(action2motion_file)
    right = recogniser.recognise(joints, mask.sum(1)).logits.argmax(1) == clips.labels
    share = {name: float(right[clips.labels == n].double().mean()) for n, name in enumerate(clips.label_names)}
    assert 0.55 < right.double().mean() < 0.65
    assert min(share[name] for name in ("warm_up", "jump", "lift_dumbbell", "turn_steering_wheel")) >= 0.95
    for name, about in {"run": 0.67, "phone": 0.61, "boxing": 0.6, "walk": 0.5, "drink": 0.4, "throw": 0.23}.items():
        assert share[name] == pytest.approx(about, abs=0.08), name
    assert share["sit"] < 0.25 and share["eat"] < 0.05

    start = torch.randn(2, len(clips), 128, generator=torch.Generator().manual_seed(0))  # as the published code has it
    with torch.no_grad():
        last = recogniser.recurrent(camera_view(joints).transpose(0, 1), start)[0][-1]
        at_random = recogniser.linear2(recogniser.linear1(last).tanh()).argmax(1) == clips.labels
    runs = clips.labels == HUMANACT12_ACTIONS.index("run")
    assert at_random.double().mean() < right.double().mean() - 0.02
    assert at_random[runs].double().mean() < share["run"] - 0.2


# The papers' protocol -----------------------------------------------------------------------------------------------


def test_the_card_stands_beside_the_papers_table(card):
    assert [(f.measure, f.action) for f in card.figures if not f.action] == [
        (name, "") for name in ("recognised", "FID", "diversity", "multimodality")
    ]
    assert {f.action for f in card.figures} == {"", *HUMANACT12_ACTIONS}
    about = "\n".join(f"{key}: {value}" for key, value in card.about.items())
    for part in ("N = 100 (papers: 1,000), mean of 2 repetitions (papers: 20)", "hands: forearms lengthened by 0.34",
                 "hold their last pose", "a data set, 144 clips", "num_steps 1"):  # fmt: skip
        assert part in about, about
    for text in (str(card), card.to_markdown()):
        assert "table 3 of MDM" in text and "This is other motion (a data set)" in text
        assert all(column in text for column in TABLE_3) and "are not the paper's" not in text
    (line,) = [line for line in card.to_markdown().splitlines() if line.startswith("| FID ")]
    assert line.endswith("| 0.050 | 0.100 | 0.080 | 0.120 | 0.088 |") and line.count("±") == 2
    assert card.get("FID").value > 5 * card.get("FID").real > 0
    assert Scorecard.from_dict(json.loads(json.dumps(card.to_dict()))) == card


def test_the_note_knows_the_papers_own_data(data):
    assert "the figures can be compared" in papers._note(replace(data, source="HumanAct12Poses (a.pkl)"))
    assert "compare with this real column" in papers._note(data)


def test_the_draws_are_the_papers(card, made_up, data):
    """So many different clips, in the data's shares; another draw of the same clips stands for real motion."""
    judge = Judge(data, made_up, 60, 100)
    expected = []
    for seed in range(2):
        reference, other = (papers._draw(judge, 100, 2 * seed + n) for n in (0, 1))
        assert reference.joints.shape == (100, 60, 22, 3) and len(reference.joints.flatten(1).unique(dim=0)) == 100
        expected.append(measures.frechet_distance(other.features, reference.features))
    figure = card.get("FID")
    assert figure.real == pytest.approx(np.mean(expected))
    assert figure.real_interval == pytest.approx(1.96 * np.std(expected, ddof=1) / 2**0.5)


def test_the_model_makes_60_frames_of_the_same_actions_and_lengths(made_up, checkpoint, data, monkeypatch):
    asked = []

    def generate(checkpoint, labels, sampling):
        asked.append((labels, sampling))
        return torch.zeros(len(labels), sampling.num_frames, 22, 3) + torch.arange(22)[:, None]

    monkeypatch.setattr(evaluation, "generate", generate)
    evaluate_as_papers(checkpoint, data, made_up, num_seeds=1, num_samples=1000)
    real = papers._draw(Judge(data, made_up, 60, 100), 144, 0)
    assert [n for labels, _ in asked for n in labels] == real.labels.tolist()
    assert [n for _, sampling in asked for n in sampling.lengths] == real.lengths.tolist()
    assert {sampling.num_frames for _, sampling in asked} == {60}


def test_what_it_is_not_for_is_said(made_up, checkpoint, data):
    with pytest.raises(InputError, match=r"HumanAct12's actions, in this order: warm_up, .*checkpoint has walk"):
        evaluate_as_papers(load_checkpoint(asset_path("real_motion.pth")), data, made_up)
    with pytest.raises(InputError, match="the data has throw, boxing"):
        evaluate_as_papers(checkpoint, replace(data, label_names=HUMANACT12_ACTIONS[::-1]), made_up)
    with pytest.raises(InputError, match="at 20 frames a second; the data has 22 joints at 30"):
        evaluate_as_papers(checkpoint, replace(data, fps=30), made_up)
    with pytest.raises(InputError, match="num_seeds is 0"):
        evaluate_as_papers(checkpoint, data, made_up, num_seeds=0)


def test_a_judge_takes_whatever_recognises(checkpoint, data):
    class Height:
        def recognise(self, joints, lengths):
            height = joints[..., 1].amax((1, 2))[:, None]
            return Recognition(height.expand(-1, 12), torch.cat([height, height**2], 1))

    card = evaluate(checkpoint, Judge(data, Height(), 40), num_seeds=1, num_steps=1)
    assert card.get("FID").real >= 0 and card.about["recogniser"].startswith("Height, 2 features")


def test_the_command(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation, "FRESH_CLIPS", (96, 101))
    replace(checkpoint, config=replace(checkpoint.config, num_frames=60)).save("model.pth")
    made_up_action2motion(tmp_path / "a.tar")

    def run(recogniser, *others):
        arguments = ["--seeds", "1", "--num-samples", "48", "--steps", "1", "--recogniser", recogniser, *others]
        return CliRunner().invoke(main, ["evaluate", "--checkpoint", "model.pth", *arguments])

    result = run("action2motion:a.tar", "--json", "card.json", "--markdown")
    assert result.exit_code == 0, result.output
    stored = Scorecard.from_dict(json.loads((tmp_path / "card.json").read_text("utf-8")))
    assert f"| FID | {stored.get('FID').value:.3f} | {stored.get('FID').real:.3f} | 0.050 |" in result.output
    assert "N = 48 (papers: 1,000), mean of 1 repetitions" in result.output
    assert not (tmp_path / "output").exists()  # no recogniser was trained
    refusals = {
        "stgcn:a.tar": "unknown recogniser 'stgcn:a.tar'",
        "action2motion:": "unknown recogniser",
        "action2motion:b.tar": "no file at b.tar",
        "action2motion:card.json": "get it again",
    }
    for wrong, message in refusals.items():
        refused = run(wrong)
        assert refused.exit_code == 2 and message in refused.stderr and refused.stderr.count("\n") == 1


def test_the_class_alone_has_the_published_shapes():
    shapes = {name: list(value.shape) for name, value in Action2Motion().state_dict().items()}
    assert shapes == {
        "recurrent.weight_ih_l0": [384, 72], "recurrent.weight_hh_l0": [384, 128],
        "recurrent.bias_ih_l0": [384], "recurrent.bias_hh_l0": [384],
        "recurrent.weight_ih_l1": [384, 128], "recurrent.weight_hh_l1": [384, 128],
        "recurrent.bias_ih_l1": [384], "recurrent.bias_hh_l1": [384],
        "linear1.weight": [30, 128], "linear1.bias": [30], "linear2.weight": [12, 30], "linear2.bias": [12],
    }  # fmt: skip
