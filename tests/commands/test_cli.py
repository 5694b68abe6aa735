"""The command line as a user meets it: what works, and what each wrong input says."""

import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mdm_lib import InputError, asset_path, generate, load_checkpoint
from mdm_lib.commands.cli import main
from mdm_lib.commands.train import MESSAGES
from mdm_lib.samplers import DEFAULT_SAMPLER, DEFAULT_STEPS


def run(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a finished run of a minute network."""
    folder = tmp_path_factory.mktemp("run")
    result = run("train", "--data", "synthetic:36", "--steps", 12, "--batch_size", 8, "--num-timesteps", 20,
                 "--save_every", 5, "--log_every", 5, "--lang", "en", "--out", folder)  # fmt: skip
    assert result.exit_code == 0, result.output
    return folder, result.output


def refused(result, *parts):
    """Exit code 2 and one line on stderr that holds all ``parts``; no traceback."""
    assert result.exit_code == 2, result.output
    line = result.stderr.strip()
    assert line.startswith("error: ") and "\n" not in line and "Traceback" not in line
    for part in parts:
        assert part in line, line


def test_the_guidance_of_samples_is_chosen_in_training(tmp_path):
    small = ("--data", "synthetic:36", "--steps", 2, "--batch_size", 8, "--out", tmp_path)
    assert run("train", *small, "--guidance", 1.75).exit_code == 0
    assert load_checkpoint(tmp_path / "mdm_final.pth").guidance_scale == 1.75
    refused(run("train", *small, "--resume", "--guidance", 2), "guidance_scale 1.75, not 2")


def test_the_sizes_of_the_network_are_chosen_in_training(tmp_path):
    asked = ("--data", "synthetic:36", "--steps", 1, "--batch_size", 8)
    sizes = ("--latent_dim", 24, "--num_layers", 2, "--ff_size", 40)
    assert run("train", *asked, *sizes, "--out", tmp_path / "fits").exit_code == 0
    config = load_checkpoint(tmp_path / "fits/mdm_final.pth").config
    assert (config.latent_dim, config.num_layers, config.ff_size) == (24, 2, 40)
    odd = tmp_path / "odd"
    refused(run("train", *asked, "--latent-dim", 50, "--out", odd), "latent_dim is 50", "multiple of the 4")
    assert not odd.exists()


def test_train_writes_what_it_says(trained):
    folder, output = trained
    assert re.search(r"^Epoch 2/4, Loss: \d+\.\d{4}  MSE: \d+\.\d{4}  Vel: \d+\.\d{4}$", output, re.M)
    assert f"-> checkpoint: {folder / 'mdm_epoch2.pth'}" in output
    written = {path.name for path in folder.iterdir()} - {".lock"}
    assert written == {"mdm_epoch2.pth", "mdm_epoch4.pth", "mdm_final.pth", "log.csv", "loss.png"}
    header, *rows = (folder / "log.csv").read_text().split()
    assert header == "step,epoch,loss,mse,vel,lr" and [row.split(",")[0] for row in rows] == ["5", "10", "12"]
    assert (folder / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_messages_have_the_same_parts_in_both_languages():
    assert MESSAGES["en"].keys() == MESSAGES["ja"].keys()
    for key, english in MESSAGES["en"].items():
        assert sorted(re.findall(r"{.*?}", english)) == sorted(re.findall(r"{.*?}", MESSAGES["ja"][key]))


def test_japanese_on_request_and_by_locale(trained, monkeypatch):
    assert "完了" in run("train", "--resume", "--out", trained[0], "--data", "synthetic:36", "--lang", "ja").output
    for name in ("LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    for language, word in (("ja_JP.UTF-8", "完了"), ("en_GB.UTF-8", "finished")):
        monkeypatch.setenv("LANG", language)
        assert word in run("train", "--resume", "--out", trained[0], "--data", "synthetic:36").output
    monkeypatch.delenv("LANG")
    monkeypatch.setattr("locale.getlocale", lambda: ("Japanese_Japan", "932"))
    assert "完了" in run("train", "--resume", "--out", trained[0], "--data", "synthetic:36").output


def test_sample_then_visualise(trained, tmp_path):
    path = tmp_path / "generated_action3_samples2.npy"
    made = run("sample", "--checkpoint", trained[0] / "mdm_final.pth", "--action_id", 3, "--num_samples", 2,
               "--steps", 5, "--frames", 24, "--output_path", path)  # fmt: skip
    assert made.exit_code == 0, made.output
    motions, about = np.load(path), json.loads(path.with_suffix(".json").read_text())
    assert motions.dtype == np.float32 and motions.shape == (2, 24, 22, 3)
    assert about["label_names"] == ["jump", "jump"] and about["lengths"] == [24, 24] and about["fps"] == 20
    assert len(about["skeleton"]["joint_names"]) == 22
    again = run("sample", "--checkpoint", trained[0] / "mdm_final.pth", "--action", "jump", "--num-samples", 2,
                "--steps", 5, "--frames", 24, "--output-path", tmp_path / "again.npy")  # fmt: skip
    assert again.exit_code == 0 and (np.load(tmp_path / "again.npy") == motions).all()
    drawn = run("visualise", "--input", path, "--output", tmp_path / "demo.gif", "--title", "MDM - Jump")
    assert drawn.exit_code == 0 and (tmp_path / "demo.gif").read_bytes().startswith(b"GIF8")
    assert run("visualise", "--input", path).exit_code == 0
    assert path.with_suffix(".gif").exists() and path.with_suffix(".png").exists()


def test_sample_default_name_and_sampler(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("sample", "--checkpoint", trained[0] / "mdm_final.pth", "--action_id", 3)
    assert result.exit_code == 0, result.output
    assert np.load("output/generated_action3_samples4.npy").shape == (4, 60, 22, 3)
    about = json.loads(Path("output/generated_action3_samples4.json").read_text())
    assert (about["sampler"], len(about["timesteps"]), about["guidance_scale"]) == (DEFAULT_SAMPLER, DEFAULT_STEPS, 1.0)


@pytest.mark.parametrize("names", [("dpm_solver", "log_snr"), ("dpm-solver", "log-snr")])
def test_names_take_hyphens_and_underscores(trained, tmp_path, names):
    result = run("sample", "--checkpoint", trained[0] / "mdm_final.pth", "--action_id", 3, "--steps", 2,
                 "--sampler", names[0], "--spacing", names[1], "--output-path", tmp_path / "motion.npy")  # fmt: skip
    assert result.exit_code == 0, result.output
    about = json.loads((tmp_path / "motion.json").read_text())
    assert about["sampler"] == "dpm_solver" and about["timesteps"] == [19, 0]


def test_sample_by_another_sampler_and_with_guidance(trained, tmp_path):
    options = ("--sampler", "ddim", "--steps", 4, "--spacing", "trailing", "--eta", 0.5, "--guidance", 2.5)
    result = run("sample", "--checkpoint", trained[0] / "mdm_final.pth", "--action_id", 3, *options, "--num-samples", 2,
                 "--output-path", tmp_path / "motion.npy")  # fmt: skip
    assert result.exit_code == 0, result.output
    expected = generate(load_checkpoint(trained[0] / "mdm_final.pth"), 3, 2, sampler="ddim", num_steps=4,
                        spacing="trailing", eta=0.5, guidance_scale=2.5)  # fmt: skip
    assert (np.load(tmp_path / "motion.npy") == expected.numpy()).all()
    about = json.loads((tmp_path / "motion.json").read_text())
    made_by = {"sampler": "ddim", "timesteps": [19, 14, 9, 4], "eta": 0.5, "guidance_scale": 2.5}
    assert {name: about[name] for name in made_by} == made_by


def test_demo(tmp_path):
    result = run("demo", "--minutes", 0.005, "--out", tmp_path, "--action", "walk")
    assert result.exit_code == 0, result.output
    for name in ("shipped_walk.html", "demo_walk.gif", "demo_walk.png", "demo_walk.html", "demo.pth"):
        assert (tmp_path / name).stat().st_size > 1000 and str(tmp_path / name) in result.output


def test_help_of_every_command():
    for command in ([], ["train"], ["sample"], ["visualise"], ["demo"], ["download"], ["download", "humanact12"]):
        result = run(*command, "--help")
        assert result.exit_code == 0 and "Usage" in result.output


# ---- bad input ----


def test_unknown_data_and_missing_file(tmp_path):
    refused(
        run("train", "--data", "kitchen", "--out", tmp_path), "unknown data 'kitchen'", "synthetic", "humanact12:PATH"
    )
    refused(run("train", "--data", f"humanact12:{tmp_path}/none.pkl", "--out", tmp_path), "none.pkl")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"joints3D": [np.zeros((9, 17, 3))], "y": [0]}, "17"),
        ({"joints3D": [np.zeros((9, 24, 3))], "y": [12]}, "--label-names"),
        ({"joints3D": [np.full((9, 24, 3), np.nan)], "y": [0]}, "clip 0 has NaN"),
        ({"joints3D": [np.zeros((1, 24, 3))], "y": [0]}, "clip 0 has fewer than 2 frames"),
        ({"motions": []}, "joints3D"),
        ({"joints3D": print, "y": []}, "'builtins.print', which could run code"),
    ],
)
def test_bad_real_data(tmp_path, content, message):
    path = tmp_path / "humanact12poses.pkl"
    path.write_bytes(pickle.dumps(content))
    refused(run("train", "--data", f"humanact12:{path}", "--out", tmp_path / "run"), message, "humanact12poses.pkl")
    assert not (tmp_path / "run").exists()


def test_truncated_real_data(tmp_path):
    path = tmp_path / "humanact12poses.pkl"
    path.write_bytes(pickle.dumps({"joints3D": [np.zeros((9, 24, 3))], "y": [0]})[:-200])
    refused(run("train", "--data", f"humanact12:{tmp_path}", "--out", tmp_path / "run"), "cut short")


def test_two_budgets_and_used_folder(trained, tmp_path):
    refused(run("train", "--steps", 3, "--epochs", 2, "--out", tmp_path), "one budget")
    refused(run("train", "--out", trained[0]), "already holds a training run", "--resume")


def test_resume_with_other_data_or_settings(trained):
    refused(run("train", "--data", "synthetic:48", "--resume", "--out", trained[0]), "other data", "--data")
    refused(run("train", "--data", "synthetic:36", "--resume", "--out", trained[0], "--lr", 0.5), "lr", "0.5")
    refused(
        run("train", "--data", "synthetic:36", "--resume", "--out", trained[0], "--preset", "small"),
        "was trained",
    )


def test_sample_without_or_with_unknown_action(trained):
    checkpoint = trained[0] / "mdm_final.pth"
    refused(run("sample", "--checkpoint", checkpoint), "--action NAME", "--action_id NUMBER")
    refused(run("sample", "--checkpoint", checkpoint, "--action", "juggle"), "unknown action 'juggle'", "did you mean")
    refused(run("sample", "--checkpoint", checkpoint, "--action_id", 12), "out of range", "0 to 11")
    refused(run("sample", "--checkpoint", checkpoint, "--action_id", 3, "--steps", 21), "steps is 21", "20")
    refused(run("sample", "--checkpoint", checkpoint, "--action_id", 3, "--eta", 0.5), "only ddim has an eta")
    refused(run("sample", "--checkpoint", checkpoint, "--action_id", 3, "--guidance", -1), "guidance_scale is -1")
    refused(run("sample", "--checkpoint", checkpoint, "--action_id", 3, "--frames", 1), "frames is 1")


def test_missing_cut_and_foreign_checkpoints(trained, tmp_path):
    path = tmp_path / "model.pth"
    refused(run("sample", "--checkpoint", path, "--action_id", 3), "no checkpoint at", "train")
    whole = (trained[0] / "mdm_final.pth").read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    refused(run("sample", "--checkpoint", path, "--action_id", 3), "damaged or cut short")
    torch.save([1, 2], path)
    refused(run("sample", "--checkpoint", path, "--action_id", 3), "not a checkpoint of mdm_lib")
    torch.save({"format": 1, "run": print}, path)
    refused(run("sample", "--checkpoint", path, "--action_id", 3), "more than weights")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "format 99"),
        ({"skeleton": {"joint_names": ["a"] * 24, "parents": [0] * 24}}, "no name twice"),
        ({"condition": ["one"]}, "do not fit"),
    ],
)
def test_checkpoints_that_do_not_fit(trained, tmp_path, change, message):
    content = torch.load(trained[0] / "mdm_final.pth", weights_only=True)
    torch.save({**content, **change}, tmp_path / "model.pth")
    refused(run("sample", "--checkpoint", tmp_path / "model.pth", "--action_id", 0), message)


def test_the_readmes_path_to_a_model_is_explained_outside_a_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("sample", "--checkpoint", "assets/synthetic.pth", "--action", "jump")
    refused(result, "no checkpoint at assets/synthetic.pth", str(asset_path("synthetic.pth")))


def test_checkpoint_with_unknown_settings_or_missing_parts(trained, tmp_path):
    content = torch.load(trained[0] / "mdm_final.pth", weights_only=True)
    torch.save({**content, "config": {**content["config"], "new_idea": 1}}, tmp_path / "model.pth")
    refused(run("sample", "--checkpoint", tmp_path / "model.pth", "--action_id", 0), "new_idea", "update mdm_lib")
    del content["normaliser"]
    torch.save(content, tmp_path / "model.pth")
    refused(run("sample", "--checkpoint", tmp_path / "model.pth", "--action_id", 0), "lacks normaliser")


def test_a_shared_checkpoint_is_small_makes_the_same_motion_and_cannot_be_resumed(trained, tmp_path):
    whole, shared = trained[0] / "mdm_final.pth", tmp_path / "mdm_final.pth"
    load_checkpoint(whole).share(shared)
    assert shared.stat().st_size < whole.stat().st_size / 5
    ours, theirs = (generate(load_checkpoint(path), "jump", 2, seed=1) for path in (shared, whole))
    torch.testing.assert_close(ours, theirs, atol=2e-3, rtol=0)  # metres: half precision costs little
    refused(run("train", "--data", "synthetic:36", "--resume", "--out", tmp_path), "cannot be resumed")


def test_train_shares_its_model(tmp_path):
    run(
        "train",
        "--data",
        "synthetic:24",
        "--steps",
        2,
        "--lang",
        "en",
        "--out",
        tmp_path,
        "--share",
        tmp_path / "a.pth",
    )
    assert load_checkpoint(tmp_path / "a.pth").training is None


def test_an_asset_that_is_not_there_names_those_that_are():
    with pytest.raises(InputError, match=r"'no\.pth'.*its models are"):
        asset_path("no.pth")


def test_bad_motion_files(tmp_path):
    path = tmp_path / "motion.npy"
    refused(run("visualise", "--input", path), "no file at")
    np.save(path, np.zeros((2, 10, 17, 3)))
    refused(run("visualise", "--input", path), "[2, 10, 17, 3]", "22")
    np.save(path, np.full((2, 10, 22, 3), np.nan))
    refused(run("visualise", "--input", path), "NaN")
    np.save(path, np.array([{}]), allow_pickle=True)
    refused(run("visualise", "--input", path), "not a .npy file of numbers")
    np.save(path, np.zeros((2, 10, 22, 3)))
    path.write_bytes(path.read_bytes()[:200])
    refused(run("visualise", "--input", path), "cut short")
    np.save(path, np.zeros((1, 10, 22, 3)))
    refused(run("visualise", "--input", path, "--output", tmp_path / "x.mp4"), ".gif", ".png")
    path.with_suffix(".json").write_text("{")
    refused(run("visualise", "--input", path), "motion.json", "damaged")


def test_unwritable_output(tmp_path):
    np.save(tmp_path / "m.npy", np.zeros((1, 10, 22, 3)))
    (tmp_path / "file").touch()
    refused(run("visualise", "--input", tmp_path / "m.npy", "--output", tmp_path / "file" / "x.gif"), "cannot write")


def test_label_names_where_the_data_has_its_own(tmp_path):
    refused(run("train", "--data", "synthetic:24", "--label-names", "a,b", "--out", tmp_path), "leave them out")


def test_unavailable_device(tmp_path):
    refused(run("train", "--device", "tpu", "--out", tmp_path), "'tpu' is not available")
