"""``mdm_lib demo``: train a model and generate motion in about a minute."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import click
import torch
from tqdm import tqdm

from mdm_lib import runtime
from mdm_lib.checkpoint import Checkpoint, load_checkpoint
from mdm_lib.commands.options import sample_with_bar
from mdm_lib.config import PRESETS
from mdm_lib.data import load_clips
from mdm_lib.files import asset_path
from mdm_lib.sampling import Sampling
from mdm_lib.training.trainer import train as train_steps
from mdm_lib.visualise.strips import save_film_strip, save_gif


@click.command(context_settings={"show_default": True})
@click.option("--action", default="jump", help="Action to generate.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=0.7, help="Training time.")
@click.option("--out", default="output", metavar="FOLDER", type=Path)
@click.option("--seed", type=int, default=0)
def demo(action, minutes, out, seed):
    """Generate motions with the included model, then train a small one. Takes about a minute."""
    runtime.set_threads(1)  # a second thread helps so small a network little, and slows it on a busy machine
    shipped = load_checkpoint(asset_path("synthetic.pth"))
    action = shipped.label_names[shipped.action_id(action)]
    click.echo(f"1. 3 motions from the model included in the course: {action}")
    _show_motions(shipped, action, out / f"shipped_{action}", f"MDM - {action}", seed)
    model, steps = _train_for_demo(action, minutes, seed)
    click.echo(f"3. 3 motions from your own model: {action}")
    _show_motions(model, action, out / f"demo_{action}", f"MDM - {action}, {steps} training steps", seed)
    click.echo(f"   {model.save(out / 'demo.pth')}")


def _train_for_demo(action: str, minutes: float, seed: int) -> tuple[Checkpoint, int]:
    """A model of ``action`` and two others (a minute is enough for three), and its number of steps."""
    clips, _ = load_clips("synthetic").split()
    chosen = list(dict.fromkeys([action, "jump", "walk", "boxing"]))[:3]
    ids = torch.tensor([clips.label_names.index(name) for name in chosen])
    clips = clips.select(torch.isin(clips.labels, ids))
    click.echo(f"2. Training a tiny model for {minutes:g} min on {len(clips)} synthetic clips of {', '.join(chosen)}")
    with tqdm(unit="step", mininterval=1, dynamic_ncols=True) as bar:
        for trainer in train_steps(clips, replace(PRESETS["tiny"], seed=seed), minutes=minutes):
            bar.total = trainer.total_steps
            bar.update()
            if trainer.step % 50 == 0:
                bar.set_postfix(loss=f"{trainer.losses()['loss']:.3f}")
    return trainer.checkpoint(), trainer.step


def _show_motions(model: Checkpoint, action: str, stem: Path, title: str, seed: int) -> None:
    """Generate three motions; write a GIF, a film strip and, if the player is installed, a page; print the paths."""
    motions = sample_with_bar(model, action, 3, Sampling(seed=seed))
    look = {"title": title, "fps": model.fps, "skeleton": model.skeleton}
    written = [
        save_gif(stem.with_suffix(".gif"), motions, **look),
        save_film_strip(stem.with_suffix(".png"), motions, **look),
    ]
    if find_spec("anywidget"):  # part of the extra "course"
        from mdm_lib.visualise.player import MotionPlayer

        written.append(MotionPlayer(motions, **look).save_html(stem.with_suffix(".html")))
    click.echo("\n".join(f"   {path}" for path in written))
