"""The evaluation end to end on a minute checkpoint; what stands beside each figure; the table's three forms."""

import json
from dataclasses import replace

import pytest
import torch
from click.testing import CliRunner

from mdm_lib import InputError
from mdm_lib.checkpoint import Checkpoint, build
from mdm_lib.commands.cli import main
from mdm_lib.conditions import ActionVocabulary
from mdm_lib.config import Config
from mdm_lib.data import MotionClips, load_bandai, synthetic_clips
from mdm_lib.evaluation import judge as evaluation
from mdm_lib.evaluation import recogniser
from mdm_lib.evaluation.judge import MEASURES, Judge, Measure, evaluate, judge_for, samples_per_action
from mdm_lib.evaluation.scorecard import Figure, Scorecard, summarise
from mdm_lib.motion.geometry import length_mask

ACTIONS = synthetic_clips(1).label_names


@pytest.fixture(scope="module", autouse=True)
def quick():
    """A recogniser that has hardly learnt, and few fresh clips: the figures are poor, the ways they go are not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recogniser, "STEPS", 25)
        patch.setattr(recogniser, "BATCH_SIZE", 24)
        patch.setattr(evaluation, "NUM_SPLITS", 4)
        patch.setattr(evaluation, "FRESH_CLIPS", (96, 101))
        patch.setattr(evaluation, "RECOGNISER_CLIPS", (120, 102))
        yield


@pytest.fixture(scope="module")
def data():
    """Clips of an ordinary data set: nobody can make more of them, so that they are split."""
    clips = synthetic_clips(144, seed=9)
    return MotionClips(clips.joints, clips.lengths, clips.labels, clips.label_names, "a data set")


@pytest.fixture(scope="module")
def judge(data):
    return judge_for(data, num_frames=40)


@pytest.fixture(scope="module")
def checkpoint():
    config = Config(latent_dim=16, num_layers=1, num_heads=2, ff_size=16, num_timesteps=10, num_frames=40)
    torch.manual_seed(0)
    representation, model = build(config, ActionVocabulary(ACTIONS))
    return Checkpoint(config, ActionVocabulary(ACTIONS), representation, model, "nothing")


@pytest.fixture(scope="module")
def card(judge, checkpoint):
    return evaluate(checkpoint, judge, num_seeds=2, sampler="ddim", num_steps=2)


def test_halves_are_disjoint_alike_in_actions_and_seeded(judge):
    a, b = judge.halves(3)
    assert a.labels.tolist() == b.labels.tolist() and a.labels.bincount().tolist() == [6] * 12
    first, second = evaluation.draw(judge.everything.labels, judge.per_action, 3, sets=2)
    assert not set(first.tolist()) & set(second.tolist()) and len(set(first.tolist())) == 72
    assert torch.equal(judge.halves(3)[1].joints, b.joints) and not torch.equal(judge.halves(4)[1].joints, b.joints)


def test_samples_keep_the_proportions_and_half_of_each_action_at_most():
    clips = synthetic_clips(120, seed=1)
    clips = clips.select((clips.labels != 1) | (torch.arange(120) < 40))  # four of action 1, ten of the others
    for num_samples, rare, other in ((600, 2, 5), (57, 2, 5), (30, 1, 3)):
        assert samples_per_action(clips, num_samples).tolist() == [other, rare, *[other] * 10]


def test_a_judge_takes_a_recogniser_that_is_there(data, judge, monkeypatch):
    monkeypatch.setattr(evaluation, "train_recogniser", None)  # is not called
    again = Judge(data, judge.recogniser, num_frames=40)
    assert torch.equal(again.unseen.features, judge.unseen.features)


def test_real_motion_against_itself_scores_as_the_floor(judge):
    a, b = judge.halves(0)
    same, floor = judge.score(a, a, 0), judge.score_real(b, a, 0)
    assert same["FID", ""] == pytest.approx(0, abs=1e-3)
    assert floor["FID", ""] > 0.01
    assert floor["bone drift, %", ""] < 1e-3
    assert floor["speed / real", ""] == pytest.approx(1, abs=0.2)
    assert floor["distance to training clips / held-out", ""] == pytest.approx(1, abs=0.2)


def test_worse_motion_scores_worse(judge):
    a, b = judge.halves(0)
    frozen = judge.look_at(b.joints[:, :1].expand_as(b.joints).clone(), b.lengths, b.labels)
    jumpy = judge.look_at(
        b.joints + 0.03 * torch.randn(b.joints.shape, generator=torch.Generator().manual_seed(0)), b.lengths, b.labels
    )
    real, still, noisy = (judge.score(motions, a, 0) for motions in (b, frozen, jumpy))
    assert still["FID", ""] > 2 * real["FID", ""]
    assert still["speed / real", ""] == 0 and still["speed / real", "run"] == 0
    assert noisy["jerk / real", ""] > 5 and noisy["bone drift, %", ""] > 5
    sunk = judge.score(judge.look_at(b.joints - torch.tensor([0, 0.1, 0]), b.lengths, b.labels), a, 0)
    assert sunk["below the floor, cm", ""] == pytest.approx(10, abs=3)


def test_copies_of_training_clips_are_called_memorised(judge):
    copies = judge.windows(judge.training, torch.arange(40), seed=3)
    scores = judge.score(copies, judge.halves(0)[0], 0)
    assert scores["distance to training clips / held-out", ""] < 0.01
    assert scores["nearer than 99 % of held-out, %", ""] == 100
    real = judge.score_real(*judge.halves(0), 0)
    assert real["distance to training clips / held-out", ""] == pytest.approx(1, abs=0.15)


def test_synthetic_clips_are_judged_by_fresh_ones():
    clips = synthetic_clips(96)
    judge = judge_for(clips, 30)
    assert judge.everything is judge.held_out and judge.everything.fingerprint() != clips.fingerprint()
    assert judge.training.fingerprint() == clips.split()[0].fingerprint()
    a, b = judge.halves(0)
    scores = judge.score(b, a, 0)
    assert ("FID, held-out only", "") not in scores
    assert {name for name, _ in scores} >= {"KS tempo", "KS amplitude", "KS side", "KS speed"}
    frozen = judge.look_at(b.joints[:, :1].expand_as(b.joints).clone(), b.lengths, b.labels)
    worse = judge.score(frozen, a, 0)
    assert worse["KS amplitude", ""] > 2 * scores["KS amplitude", ""] and worse["KS speed", ""] == 1


def test_the_model_makes_the_actions_and_lengths_of_the_real_half(judge, checkpoint, monkeypatch):
    asked = []

    def generate(checkpoint, labels, sampling):
        asked.append((labels, sampling))
        return torch.zeros(len(labels), sampling.num_frames, 22, 3) + torch.arange(22)[:, None]

    monkeypatch.setattr(evaluation, "generate", generate)
    monkeypatch.setattr(evaluation, "BATCH_SIZE", 50)
    evaluate(checkpoint, judge, num_seeds=1, num_steps=3)
    _, b = judge.halves(0)
    assert [n for labels, _ in asked for n in labels] == b.labels.tolist()
    assert [n for _, sampling in asked for n in sampling.lengths] == b.lengths.tolist()
    assert [(sampling.seed, sampling.num_steps) for _, sampling in asked] == [(0, 3), (1, 3)]
    assert length_mask(b.lengths, 40).all(0).sum() < 41


def test_the_card_says_how_it_came_about(card):
    about = " ".join(card.about.values())
    for part in (
        "N = 72 (held-out only: 24)", "mean of 2 seeds", "median of 4 pairs", "seed 0, 64 features", "sampler ddim",
        "num_steps 2", "guidance_scale 1.0", "a data set, 144 clips, 24 of them held out",
    ):  # fmt: skip
        assert part in about, about
    untrained = card.get("recognised")
    assert untrained.value < 0.5 and untrained.interval is not None
    assert card.get("FID").value > 5 * card.get("FID").real > 0
    assert {f.action for f in card.figures} == {"", *ACTIONS}


def test_the_same_seeds_give_the_same_card(card, data, checkpoint):
    again = evaluate(checkpoint, judge_for(data, num_frames=40), num_seeds=2, sampler="ddim", num_steps=2)
    assert again == card


def test_the_card_as_text_markdown_and_json(card, tmp_path):
    assert Scorecard.from_dict(json.loads(card.save(tmp_path / "card.json").read_text("utf-8"))) == card
    text, markdown = str(card), card.to_markdown()
    for form in (text, markdown):
        assert "FID, held-out only" in form and "are not the paper's" in form
        assert all(action in form for action in ACTIONS)
    tables = [block.splitlines() for block in markdown.split("\n\n") if block.startswith("|")]
    assert len(tables) == 2 and all(len({line.count("|") for line in table}) == 1 for table in tables)
    figure = card.get("FID")
    assert f"| FID | {figure.value:.3f} ± {figure.interval:.3f} | {figure.real:.3f} ± {figure.real_interval:.3f} |" in (
        markdown
    )


def test_means_intervals_and_medians():
    made = [{("x", ""): value} for value in (1.0, 3.0)]
    real = [{("x", ""): value} for value in (0.0, 1.0, 5.0)]
    (figure,) = summarise(made, real)
    assert figure == Figure("x", "", 2.0, pytest.approx(1.96), 1.0, pytest.approx(1.96 * 7**0.5))
    assert summarise(made, real[1:])[0].real == 3.0  # of two, the middle between them
    assert (
        summarise(made[:1], real)[0].interval is None and "±" not in str(Scorecard({}, summarise(made[:1], real)))[:30]
    )


def test_other_data_too_few_clips_and_no_seed_are_refused(judge, checkpoint, data):
    other = replace(checkpoint, vocabulary=ActionVocabulary(("hop",)))
    with pytest.raises(InputError, match="knows hop; the data has warm_up"):
        evaluate(other, judge)
    with pytest.raises(InputError, match="num_seeds is 0"):
        evaluate(checkpoint, judge, num_seeds=0)
    with pytest.raises(InputError, match="too few to compare"):
        judge_for(data.select(torch.arange(24)), 40)


def test_the_command_keeps_its_recogniser(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    replace(checkpoint, source="synthetic:60").save("model.pth")
    arguments = ["evaluate", "--checkpoint", "model.pth", "--seeds", "1", "--steps", "2"]
    result = CliRunner().invoke(main, [*arguments, "--json", "card.json"])
    assert result.exit_code == 0, result.output
    assert "FID" in result.output and "-> card.json" in result.output
    (kept,) = (tmp_path / "output").iterdir()
    changed = kept.stat().st_mtime_ns
    again = CliRunner().invoke(main, [*arguments, "--markdown"])
    assert "| FID |" in again.output and kept.stat().st_mtime_ns == changed
    card = Scorecard.from_dict(json.loads((tmp_path / "card.json").read_text("utf-8")))
    assert f"| FID | {card.get('FID').value:.3f} |" in again.output
    kept.write_bytes(b"no recogniser")
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2 and "delete it" in refused.stderr
    checkpoint.save("model.pth")
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 2 and "--data; this checkpoint was trained on nothing" in refused.stderr


def test_real_clips_of_any_length_and_number(real_data, checkpoint):
    clips = load_bandai(real_data)
    clips = clips.select(torch.cat([(clips.labels == label).nonzero()[:6, 0] for label in range(12)]))
    model = replace(checkpoint, vocabulary=ActionVocabulary(clips.label_names))
    card = evaluate(model, judge_for(clips, 40), num_seeds=1, num_steps=1)
    assert card.get("speed / real", "dash").real > 0 and card.get("skating ratio").real < 0.5


def test_a_measure_is_an_object_of_the_judges_list(data, judge):
    """One that counts frames, beside the others; a judge without a recogniser leaves out what needs one."""
    count = Measure(lambda case: {("frames", ""): float(case.motions.lengths.sum())})
    a, b = judge.halves(0)
    counting = Judge(data, judge.recogniser, 40, measures=[*MEASURES, count])
    scores = counting.score(b, a, 0)
    assert scores.pop(("frames", "")) == b.lengths.sum() and scores == judge.score(b, a, 0)
    alone = Judge(data, None, 40)
    left = {name for name, _ in alone.score(b, a, 0)}
    assert left == {name for name, _ in scores} - {
        "recognised", "FID", "FID, held-out only", "diversity", "multimodality",
    }  # fmt: skip
    assert alone.score_real(b, a, 0).keys() == alone.score(b, a, 0).keys()
