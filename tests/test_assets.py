"""The models that come with the course: small, open to everybody's code, and moving as their cards say."""

import json
import re
from pathlib import Path

import pytest
import torch

from mdm_lib import asset_path, generate, load_checkpoint
from mdm_lib.evaluation.physics import bone_drift, skating_ratio
from mdm_lib.evaluation.scorecard import Scorecard

MODELS = {"synthetic": 6_000_000, "real_motion": 10_000_000}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_small_shared_and_has_a_card(name):
    path = asset_path(f"{name}.pth")
    checkpoint = load_checkpoint(path)
    assert path.stat().st_size < MODELS[name] and checkpoint.training is None
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    assert checkpoint.source in card and "python -m mdm_lib train" in card and "icence" in card


@pytest.mark.parametrize("name", MODELS)
def test_the_card_tells_the_stored_figures(name):
    stored = asset_path(f"{name}.pth").with_suffix(".json")
    figures = Scorecard.from_dict(json.loads(stored.read_text(encoding="utf-8")))
    assert figures.to_markdown() in stored.with_suffix(".md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", MODELS)
def test_a_model_makes_steady_motion(name):
    checkpoint = load_checkpoint(asset_path(f"{name}.pth"))
    motions = generate(checkpoint, list(range(12)), seed=1)
    lengths = torch.full((12,), 60)
    assert motions.shape == (12, 60, 22, 3) and motions.isfinite().all()
    assert bone_drift(motions, lengths).mean() < 2  # percent; an untrained model has about 50
    assert skating_ratio(motions, lengths).mean() < 0.35


def test_the_real_model_says_that_it_is_not_for_commerce():
    card = asset_path("real_motion.md").read_text(encoding="utf-8")
    licence = asset_path("LICENSE").read_text(encoding="utf-8")
    for text in (card, licence):
        assert "CC BY-NC 4.0" in text and "Bandai Namco" in text


def test_a_wheel_takes_along_what_asset_path_finds():
    """``pyproject.toml`` names each file by itself; one that is forgotten would be missing outside a checkout alone."""
    root = Path(__file__).resolve().parents[1]
    wanted = {file.name for file in (root / "assets").iterdir() if file.suffix in (".pth", ".md", ".json", "")}
    named = re.findall(r'(?m)^"assets/(.+)" = "mdm_lib/assets/\1"$', (root / "pyproject.toml").read_text("utf-8"))
    assert set(named) == {name for name in wanted if (root / "assets" / name).is_file()}
    assert {"player.js", "py.typed"} <= {file.name for file in (root / "mdm_lib").rglob("*")}
