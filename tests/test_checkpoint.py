"""A checkpoint is read strictly: what is missing or unknown is migrated by the format's number, or refused."""

import json
from collections import deque
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mdm_lib import PRESETS, Config, InputError, generate, load_checkpoint, load_clips, train
from mdm_lib.checkpoint import FORMAT
from mdm_lib.config import ModelConfig, TrainingConfig
from mdm_lib.motion import SMPL22

#: Written by the version before format 2; beside it, what that version made of it. Format 2's is the same model.
FORMAT_1, FORMAT_2 = (Path(__file__).parent / "fixtures" / f"format{number}.pth" for number in (1, 2))


@pytest.fixture(scope="module")
def old():
    return json.loads(FORMAT_1.with_suffix(".json").read_text())


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    path = tmp_path_factory.mktemp("format") / "m.pth"
    return torch.load(load_checkpoint(FORMAT_1).save(path), weights_only=True)


@pytest.mark.parametrize("path", [FORMAT_1, FORMAT_2], ids=["1", "2"])
def test_files_of_older_formats_make_the_same_motions(old, path):
    checkpoint = load_checkpoint(path)
    assert torch.load(path, weights_only=True)["format"] == int(path.stem[-1])
    assert checkpoint.config.window_range == (checkpoint.config.num_frames,) * 2
    assert checkpoint.guidance_scale == 1.5 and checkpoint.config.balance_timesteps
    assert checkpoint.skeleton == SMPL22 and checkpoint.fps == 20 and checkpoint.label_names[3] == "jump"
    joints = generate(checkpoint, "jump", 2, seed=1, precision="fp32")[:, -1]
    torch.testing.assert_close(joints, torch.tensor(old["joints of the last frame"]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("path", [FORMAT_1, FORMAT_2], ids=["1", "2"])
def test_files_of_older_formats_are_resumed_as_their_own_version_did(old, path):
    clips, checkpoint = load_clips("synthetic:24"), load_checkpoint(path)
    trainer = deque(train(clips, steps=12, resume=checkpoint, precision="fp32"), maxlen=1).pop()
    assert trainer.guidance_scale == 1.5 and trainer.step == 12
    while len(trainer.recent) > 6:  # those of the first six steps came along
        trainer.recent.popleft()
    assert trainer.losses() == pytest.approx(old["losses of steps 7 to 12"], rel=1e-5)


def test_what_is_written_has_the_present_format_and_is_read_back(content, tmp_path):
    assert content["format"] == FORMAT and set(content["config"]) == {field.name for field in fields(Config)}
    torch.save(content, tmp_path / "again.pth")
    again = load_checkpoint(tmp_path / "again.pth")
    assert again.config == load_checkpoint(FORMAT_1).config and again.training["step"] == 6


@pytest.mark.parametrize("setting", [field.name for field in fields(Config)])
def test_no_missing_setting_gets_todays_default(content, tmp_path, setting):
    config = {name: value for name, value in content["config"].items() if name != setting}
    torch.save({**content, "config": config}, tmp_path / "m.pth")
    with pytest.raises(InputError, match=f"lacks {setting}"):
        load_checkpoint(tmp_path / "m.pth")


@pytest.mark.parametrize("part", ["config", "condition", "guidance_scale", "skeleton", "fps", "normaliser", "model"])
def test_no_missing_part_gets_todays_default(content, tmp_path, part):
    torch.save({name: value for name, value in content.items() if name != part}, tmp_path / "m.pth")
    with pytest.raises(InputError, match=f"lacks {part}"):
        load_checkpoint(tmp_path / "m.pth")


def test_unknown_settings_and_parts_of_format_1_are_refused(tmp_path):
    content = torch.load(FORMAT_1, weights_only=True)
    torch.save({**content, "config": {**content["config"], "balanced": True}}, tmp_path / "m.pth")
    with pytest.raises(InputError, match="does not know these settings of the configuration: balanced"):
        load_checkpoint(tmp_path / "m.pth")
    del content["label_names"]
    torch.save(content, tmp_path / "m.pth")
    with pytest.raises(InputError, match="lacks label_names"):
        load_checkpoint(tmp_path / "m.pth")


@pytest.mark.parametrize("number", [0, 4, "2", None])
def test_other_formats_are_refused(content, tmp_path, number):
    torch.save({**content, "format": number}, tmp_path / "m.pth")
    with pytest.raises(InputError, match=f"has format {number!r}, this version reads 1 to {FORMAT}"):
        load_checkpoint(tmp_path / "m.pth")


def test_the_configuration_has_two_parts():
    parts = [{field.name for field in fields(part)} for part in (ModelConfig, TrainingConfig)]
    assert not parts[0] & parts[1] and parts[0] | parts[1] == {field.name for field in fields(Config)}
    assert all(Config.from_dict(preset.to_dict()) == preset for preset in PRESETS.values())
    with pytest.raises(InputError, match="unknown schedule 'cosin'; did you mean 'cosine'"):
        replace(PRESETS["tiny"], schedule="cosin")


NUMPY = {int: np.int64, float: np.float64, bool: np.bool_, str: np.str_}


@pytest.mark.parametrize("setting", fields(Config), ids=lambda field: field.name)
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_every_setting_is_saved_as_a_plain_value(setting, kind, tmp_path):
    """``lr=np.linspace(…)[1]`` used to be saved and could not be opened again."""
    value = getattr(load_checkpoint(FORMAT_1).config, setting.name)
    other = (
        torch.tensor(value, dtype=torch.float64 if setting.type is float else None)
        if kind == "torch" and setting.type is not str
        else NUMPY[setting.type](value)
    )
    checkpoint = load_checkpoint(FORMAT_1)
    checkpoint = replace(checkpoint, config=replace(checkpoint.config, **{setting.name: other}))
    assert type(getattr(checkpoint.config, setting.name)) is setting.type
    assert load_checkpoint(checkpoint.save(tmp_path / "m.pth")).config == load_checkpoint(FORMAT_1).config


@pytest.mark.parametrize(
    ("setting", "value"),
    [("lr", float("nan")), ("lr", "1e-3"), ("batch_size", 16.5), ("batch_size", True), ("mirror", 1),
     ("schedule", None), ("seed", np.array([1, 2])), ("dropout", float("inf"))],
)  # fmt: skip
def test_a_setting_of_another_kind_is_refused_before_training(setting, value):
    with pytest.raises(InputError, match=f"{setting} is"):
        replace(PRESETS["tiny"], **{setting: value})


def test_names_rates_and_scales_from_numpy_are_saved_as_plain_values(tmp_path):
    clips = load_clips("synthetic:24")
    names = np.unique(np.array(clips.label_names))  # np.str_
    clips = replace(clips, label_names=names, source=np.str_("mine"), fps=np.float32(12.5))
    config = replace(PRESETS["tiny"], latent_dim=16, num_layers=1, num_heads=2, ff_size=32, batch_size=np.int64(8))
    trainer = deque(train(clips, config, steps=np.int64(2), guidance_scale=np.float64(1.5)), maxlen=1).pop()
    checkpoint = load_checkpoint(trainer.checkpoint().save(tmp_path / "m.pth"))
    assert checkpoint.label_names == tuple(names) and checkpoint.source == "mine" and checkpoint.fps == 12.5
    assert checkpoint.guidance_scale == 1.5 and checkpoint.training["total_steps"] == 2
