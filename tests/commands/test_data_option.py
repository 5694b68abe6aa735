"""Real motion through the whole road: file, training, resume, sampling. Needs the shared development data."""

import numpy as np
from click.testing import CliRunner

from mdm_lib import load_checkpoint, load_clips
from mdm_lib.commands.cli import main


def run(*arguments):
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_train_and_sample_on_humanact12s_layout(humanact12_pickle, real_data, tmp_path):
    names = np.load(real_data)["label_names"].tolist()
    options = ["--data", f"humanact12:{humanact12_pickle}", "--label-names", ",".join(names), "--out", tmp_path,
               "--batch-size", 8, "--save_every", 5, "--lang", "en"]  # fmt: skip
    assert "48 clips" in run("train", *options, "--steps", 10)
    assert "Resuming at step 10" in run("train", *options, "--steps", 15, "--resume")
    assert load_checkpoint(tmp_path / "mdm_final.pth").label_names == tuple(names)
    action = names[3]
    out = run("sample", "--checkpoint", tmp_path / "mdm_final.pth", "--action", action, "--steps", 3,
              "--num-samples", 2, "--output-path", tmp_path / "motion.npy")  # fmt: skip
    assert action in out and np.load(tmp_path / "motion.npy").shape == (2, 60, 22, 3)


def test_short_clips_are_kept(humanact12_pickle):
    clips = load_clips(f"humanact12:{humanact12_pickle}")
    assert len(clips) == 60 and (clips.lengths < 60).any()
