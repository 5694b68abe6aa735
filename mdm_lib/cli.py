"""The command line: ``python -m mdm_lib train | sample | evaluate | visualise | demo | download | doctor``."""

import locale
import os
import sys
from collections import deque
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
import torch
from tqdm import tqdm

from mdm_lib import runtime
from mdm_lib.checkpoint import Checkpoint, load_checkpoint
from mdm_lib.config import PRESETS, Config
from mdm_lib.data import FPS, MotionClips, download_humanact12, load_clips
from mdm_lib.doctor import HUMANACT12_FOLDER, examine
from mdm_lib.errors import InputError
from mdm_lib.evaluation import MAX_SAMPLES, Judge
from mdm_lib.evaluation import evaluate as evaluate_checkpoint
from mdm_lib.features import REPRESENTATIONS
from mdm_lib.files import asset_path, load_motions, save_motions
from mdm_lib.runs import RunFolder, resume_point, run_training
from mdm_lib.samplers import DEFAULT_SAMPLER, DEFAULT_SPACING, DEFAULT_STEPS, SAMPLERS, SPACINGS, plan
from mdm_lib.sampling import finish, sample
from mdm_lib.training import Trainer
from mdm_lib.training import train as train_steps
from mdm_lib.visualise import plot_losses, save_film_strip, save_gif

#: What a long run says at its start, at a checkpoint, when stopped and at its end.
MESSAGES = {
    "en": {
        "start": "Training on {data}: {clips} clips, {parameters:.1f} M parameters, {device} ({precision})",
        "resume": "Resuming at step {step}",
        "checkpoint": "-> checkpoint: {path}",
        "stopped": "Stopped; nothing is lost: {path}\nGo on with: python -m mdm_lib train {arguments} --resume",
        "final": "Done. Model: {path}   loss plot: {plot}",
        "done_already": "This run is finished at step {step}. Give a larger --steps, --epochs or --minutes to go on.",
    },
    "ja": {
        "start": "学習を開始します: {data}、{clips} クリップ、パラメータ {parameters:.1f} M、{device} ({precision})",
        "resume": "ステップ {step} から再開します",
        "checkpoint": "-> チェックポイント: {path}",
        "stopped": "停止しました。結果は保存済みです: {path}\n再開: python -m mdm_lib train {arguments} --resume",
        "final": "完了しました。モデル: {path}   損失のグラフ: {plot}",
        "done_already": "この学習はステップ {step} で完了しています。続けるには --steps などを大きくしてください。",
    },
}


class OneLineErrors(click.Group):
    """A group whose commands print what the user can mend as one line, and exit with code 2."""

    def invoke(self, ctx: click.Context):
        try:
            return super().invoke(ctx)
        except InputError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)


# flags take hyphens and underscores alike
CONTEXT = {"token_normalize_func": lambda flag: flag.replace("_", "-"), "max_content_width": 100}
device_option = click.option("--device", help="cpu, cuda or mps; default: the fastest there is.")
precision_option = click.option(
    "--precision", type=click.Choice(["auto", "bf16", "fp32"]), default="auto", show_default=True,
    help="auto: bfloat16 where the hardware is fast at it.",
)  # fmt: skip


@click.group(cls=OneLineErrors, context_settings=CONTEXT)
@click.version_option(package_name="mdm_lib", prog_name="mdm_lib")
def main():
    """Human Motion Diffusion from scratch: train a motion diffusion model, sample from it, look at it."""


@main.command(context_settings={"show_default": True})
@click.option(
    "--data", default="synthetic", metavar="DATA", help="synthetic, synthetic:NUMBER, humanact12:PATH or bandai:PATH."
)
@click.option("--label-names", metavar="A,B,…", help="Names of a file's labels where they are not HumanAct12's.")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="tiny: minutes; small: CPU, an hour or two; paper: GPU.  [default: tiny]",
)
@click.option("--out", default="checkpoints", metavar="FOLDER", help="Where checkpoints, log.csv and the plot go.")
@click.option("--epochs", type=click.IntRange(1), help="Budget: passes over the clips.  [default: the preset's]")
@click.option("--steps", type=click.IntRange(1), help="Budget: optimiser steps.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Budget: time, made into steps once measured.")
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option(
    "--save-every", type=click.IntRange(1), metavar="STEPS", help="Checkpoint interval.  [default: a sixth of the run]"
)
@click.option("--log-every", type=click.IntRange(1), default=100, metavar="STEPS", help="Console and log.csv interval.")
@click.option("--batch-size", type=click.IntRange(1))
@click.option("--lr", type=click.FloatRange(0, min_open=True), help="Peak learning rate.")
@click.option("--seed", type=int)
@click.option("--latent-dim", type=click.IntRange(2), help="Width of the Transformer, a multiple of its 4 heads.")
@click.option("--num-layers", type=click.IntRange(1), help="Its depth.")
@click.option("--ff-size", type=click.IntRange(1), help="Width inside its feed-forward layers.")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True))
@click.option("--vel-weight", type=click.FloatRange(0), help="Weight of the velocity loss.")
@click.option(
    "--like-weights/--flat-weights", default=None, show_default=False,
    help="Divide losses by what is usual at their timestep, or not.",
)  # fmt: skip
@click.option("--representation", type=click.Choice(list(REPRESENTATIONS)))
@click.option("--schedule", type=click.Choice(["linear", "cosine"]))
@click.option("--num-timesteps", type=click.IntRange(1, 4998), help="Diffusion steps T.")
@click.option(
    "--guidance", "guidance_scale", type=click.FloatRange(0), help="What its samples use unless told otherwise."
)
@click.option("--share", metavar="FILE", help="Write the final model there too, small, to sample from only.")
@device_option
@precision_option
@click.option("--compile", is_flag=True, help="torch.compile the model (pays on a GPU).")
@click.option("--lang", type=click.Choice(["en", "ja"]), help="Language of the messages.  [default: the locale's]")
def train(
    data, label_names, preset, out, epochs, steps, minutes, resume, save_every, log_every, share, device, precision,
    compile, lang, **settings,
):  # fmt: skip
    """Train a model.

    Without options: a tiny model on the embedded synthetic motion, a few minutes on a laptop.
    Ctrl-C saves, and --resume goes on bit for bit.
    """
    if sum(budget is not None for budget in (epochs, steps, minutes)) > 1:
        raise InputError("give one budget: --epochs, --steps or --minutes")
    say = _speaker(lang)
    runtime.set_threads()
    with runtime.process_group(runtime.pick_device(device)) as device:
        training_clips, _ = load_clips(data, label_names.split(",") if label_names else None).split()
        clips = training_clips.balanced()
        asked = {name: value for name, value in settings.items() if value is not None}
        config = replace(PRESETS[preset or "tiny"], **asked)
        checkpoint = None
        if resume:
            named = config.to_dict() if preset else asked
            decides_nothing = ("epochs", "guidance_scale")  # for the steps that are still to be made
            checkpoint = resume_point(
                out, {n: v for n, v in named.items() if n in asked or n not in decides_nothing}, device
            )
        else:
            RunFolder(out).refuse_if_used()
        config = checkpoint.config if checkpoint else config
        again = f"--data {data} --out {out}" + (f" --label-names {label_names}" if label_names else "")
        _train_into(
            out, clips, config, checkpoint, say, again, share, steps=steps, epochs=epochs, minutes=minutes,
            log_every=log_every, save_every=save_every, device=device, precision=precision, compile=compile,
        )  # fmt: skip


def _speaker(lang: str | None):
    """Print a line of ``MESSAGES`` in the language asked for, else in that of the locale."""
    # the variables first: getlocale knows only locales that are installed
    variables = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    place = next(filter(None, variables), None) or locale.getlocale()[0] or ""
    lang = lang or ("ja" if place.startswith(("ja", "Japanese")) else "en")

    def say(message: str, **facts) -> None:
        if runtime.is_first_process():
            tqdm.write(MESSAGES[lang][message].format(**facts))

    return say


def _introduce(trainer: Trainer, clips: MotionClips, checkpoint: Checkpoint | None, say) -> None:
    parameters = sum(p.numel() for p in trainer.model.parameters()) / 1e6
    precision = runtime.precision_name(trainer.device, trainer.precision, trainer.config.latent_dim)
    say("start", data=clips.source, clips=len(clips), parameters=parameters, device=trainer.device, precision=precision)
    if checkpoint:
        say("resume", step=checkpoint.training["step"])


def _train_into(out, clips, config: Config, checkpoint: Checkpoint | None, say, again: str, share, **options):
    """Run, with a progress bar and the lines of ``MESSAGES``; only the first process speaks.

    ``again`` is what to type after ``train`` to go on with this run; ``share`` where a small copy goes in the end.
    """
    speaks, bar, path = runtime.is_first_process(), None, None
    for kind, trainer, row, path in run_training(clips, config, out, resume=checkpoint, **options):
        if not speaks:
            continue
        if bar is None:
            _introduce(trainer, clips, checkpoint, say)
            bar = tqdm(initial=trainer.step - 1, unit="step", disable=None, dynamic_ncols=True, smoothing=0.05)
        if kind == "step":
            bar.total = trainer.total_steps
            bar.update()
        elif kind == "log":
            epochs = "?" if trainer.total_steps is None else trainer.epoch_at(trainer.total_steps)
            bar.write(
                "Epoch {}/{}, Loss: {loss:.4f}  MSE: {mse:.4f}  Vel: {vel:.4f}".format(trainer.epoch, epochs, **row)
            )
        elif kind == "stopped":
            bar.close()
            say("stopped", path=path, arguments=again)
            sys.exit(130)
        elif trainer.step < trainer.total_steps:
            say("checkpoint", path=path)
    if bar is not None:
        bar.close()
        plot = Path(out) / "loss.png"
        plot_losses(Path(out) / "log.csv", plot)
        if share:
            path = trainer.checkpoint().share(share)
        say("final", path=path, plot=plot)
    elif speaks:
        say("done_already", step=checkpoint.training["step"])


@main.command("sample", context_settings={"show_default": True})
@click.option("--checkpoint", default="checkpoints/mdm_final.pth", metavar="FILE")
@click.option("--action", help="What to do, by name: --action jump.")
@click.option("--action-id", type=int, help="The same, by number: --action_id 3.")
@click.option("--num-samples", type=click.IntRange(1), default=4)
@click.option("--sampler", type=click.Choice(list(SAMPLERS)), default=DEFAULT_SAMPLER)
@click.option("--steps", type=int, help=f"Denoising steps.  [default: {DEFAULT_STEPS}; ddpm: all]")
@click.option("--spacing", type=click.Choice(SPACINGS), default=DEFAULT_SPACING, help="Steps even in t or in log SNR.")
@click.option("--eta", type=float, default=0.0, help="Noise that ddim adds back, 0 to 1.")
@click.option("--guidance", type=float, help="1: as trained; more: clearer, less varied.  [default: the checkpoint's]")
@click.option("--frames", type=int, help="Length, 20 frames a second.  [default: the model's]")
@click.option("--seed", type=int, default=0)
@click.option("--output-path", metavar="FILE", help="[default: output/generated_actionA_samplesN.npy]")
@device_option
@precision_option
def sample_command(
    checkpoint, action, action_id, num_samples, sampler, steps, spacing, eta, guidance, frames, seed, output_path,
    device, precision,
):  # fmt: skip
    """Make motions of one action: a .npy [N, frames, 22, 3] in metres, and a .json that describes it."""
    if (action is None) == (action_id is None):
        raise InputError("say which action: --action NAME or --action_id NUMBER")
    runtime.set_threads()
    model = load_checkpoint(checkpoint, runtime.pick_device(device))
    label = model.action_id(action if action is not None else action_id)
    route = {"sampler": sampler, "num_steps": steps, "spacing": spacing, "eta": eta}
    guidance = model.config.guidance_scale if guidance is None else guidance
    motions = _sample_with_bar(
        model, label, num_samples, route, guidance_scale=guidance, num_frames=frames, seed=seed, precision=precision
    )
    path = Path(output_path or f"output/generated_action{label}_samples{num_samples}.npy")
    visited = plan(model.scheduler, **route)[1]
    made_by = {"checkpoint": str(checkpoint), "seed": seed, "sampler": sampler, "timesteps": visited, "eta": eta}
    save_motions(path, motions, [label] * num_samples, model.label_names, {**made_by, "guidance_scale": guidance})
    click.echo(f"{num_samples} × {model.label_names[label]}, {motions.shape[1] / FPS:.1f} s each -> {path}")
    click.echo(f"Look at it: python -m mdm_lib visualise --input {path}")


def _sample_with_bar(model: Checkpoint, action, num_samples: int, route: dict, **options) -> np.ndarray:
    """``generate`` with a progress bar; ``route`` is what ``plan`` is asked for."""
    total = len(plan(model.scheduler, **route)[1])
    steps = tqdm(sample(model, action, num_samples, **route, **options), total=total, unit="step", disable=None)
    last = deque(steps, maxlen=1).pop()
    return finish(model, last.pred_x0).numpy()


@main.command(context_settings={"show_default": True})
@click.option("--checkpoint", default="checkpoints/mdm_final.pth", metavar="FILE")
@click.option("--data", metavar="DATA", help="What it was trained on.  [default: if that was synthetic, the same]")
@click.option("--label-names", metavar="A,B,…", help="As for train.")
@click.option(
    "--seeds", type=click.IntRange(1), default=5, help="How often, each time with other real clips and noise."
)
@click.option("--num-samples", type=click.IntRange(1), default=MAX_SAMPLES, help="Motions each time, at most.")
@click.option("--sampler", type=click.Choice(list(SAMPLERS)), default=DEFAULT_SAMPLER)
@click.option("--steps", type=int, help=f"Denoising steps.  [default: {DEFAULT_STEPS}; ddpm: all]")
@click.option("--guidance", type=float, help="[default: the checkpoint's]")
@click.option("--recogniser-seed", type=int, default=0, help="Another one is another judge.")
@click.option("--json", "json_path", metavar="FILE", help="Write the figures there too.")
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@device_option
def evaluate(
    checkpoint, data, label_names, seeds, num_samples, sampler, steps, guidance, recogniser_seed, json_path, markdown,
    device,
):  # fmt: skip
    """Measure a checkpoint against real motion: recognition, FID, variety, physics, memorisation.

    Every figure stands beside what real motion itself scores. The recogniser is trained first (about a minute) and kept
    in output/ for the next time.
    """
    runtime.set_threads()
    model = load_checkpoint(checkpoint, runtime.pick_device(device))
    route = {"sampler": sampler, "num_steps": steps, "guidance_scale": guidance}
    route = {name: value for name, value in route.items() if value is not None}
    if data is None and not model.source.startswith("synthetic"):
        raise InputError(f"say where its data is, with --data; this checkpoint was trained on {model.source}")
    clips = load_clips(data or model.source, label_names.split(",") if label_names else None)
    judge = Judge(clips, model.config.num_frames, num_samples, recogniser_seed, cache="output")
    card = evaluate_checkpoint(model, judge, num_seeds=seeds, **route)
    click.echo(card.to_markdown() if markdown else str(card))
    if json_path:
        click.echo(f"\n-> {card.save(json_path)}")


@main.command(context_settings={"show_default": True})
@click.option("--input", "input_path", required=True, metavar="FILE.npy", type=Path)
@click.option(
    "--output", metavar="FILE", type=Path, help=".gif moves, .png is a film strip.  [default: both, beside the input]"
)
@click.option("--title", default="")
def visualise(input_path, output, title):
    """Draw motions as an animated GIF and a film strip."""
    motions, about = load_motions(input_path)
    look = {"title": title, "lengths": about.get("lengths"), "captions": about.get("label_names")}
    for path in [output] if output else [input_path.with_suffix(".gif"), input_path.with_suffix(".png")]:
        if path.suffix not in (".gif", ".png"):
            raise InputError(f"{path}: the output is a .gif (moving) or a .png (film strip)")
        (save_gif if path.suffix == ".gif" else save_film_strip)(path, motions, **look)
        click.echo(f"-> {path}")


@main.command(context_settings={"show_default": True})
@click.option("--action", default="jump", help="What the model shall do.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=0.7, help="How long to train.")
@click.option("--out", default="output", metavar="FOLDER", type=Path)
@click.option("--seed", type=int, default=0)
def demo(action, minutes, out, seed):
    """Make motions with the model that comes along, then train a small one for a short while. About a minute."""
    runtime.set_threads(1)  # a network this small gains little from a second one, and loses all on a busy machine
    shipped = load_checkpoint(asset_path("synthetic.pth"))
    action = shipped.label_names[shipped.action_id(action)]
    click.echo(f"1. 3 motions by the model that comes with the course: {action}")
    _show_motions(shipped, action, out / f"shipped_{action}", f"MDM - {action}", seed)
    model, steps = _train_for_demo(action, minutes, seed)
    click.echo(f"3. 3 motions by your own model: {action}")
    _show_motions(model, action, out / f"demo_{action}", f"MDM - {action}, {steps} training steps", seed)
    click.echo(f"   {model.save(out / 'demo.pth')}")


def _train_for_demo(action: str, minutes: float, seed: int) -> tuple[Checkpoint, int]:
    """A model of ``action`` and two others, which is what a minute is enough for; and its number of steps."""
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
    """Make three motions; write them as GIF, film strip and, where the player is installed, a page; say where."""
    motions = _sample_with_bar(model, action, 3, {}, seed=seed)
    written = [
        save_gif(stem.with_suffix(".gif"), motions, title=title),
        save_film_strip(stem.with_suffix(".png"), motions, title=title),
    ]
    if find_spec("anywidget"):  # which comes with the extra "course"
        from mdm_lib.player import MotionPlayer

        written.append(MotionPlayer(motions, title=title).save_html(stem.with_suffix(".html")))
    click.echo("\n".join(f"   {path}" for path in written))


@main.command()
def doctor():
    """Say what this machine has for the course, what is missing, and what to do about it."""
    problems = 0
    for finding in examine():
        click.echo(str(finding))
        problems += finding.state == "problem"
    click.echo(f"\n{problems} to mend: see the arrows." if problems else "\nAll is well. ○ is optional.")
    sys.exit(1 if problems else 0)


@main.group(cls=OneLineErrors)
def download():
    """Fetch a data set."""


@download.command(context_settings={"show_default": True})
@click.option("--folder", default=str(HUMANACT12_FOLDER), metavar="FOLDER")
def humanact12(folder):
    """Fetch HumanAct12Poses from where the official repository does."""
    path = download_humanact12(folder)
    click.echo(f"Train on it: python -m mdm_lib train --data humanact12:{path}")
