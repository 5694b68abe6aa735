"""``mdm_lib train``: train a model and save it to a folder."""

import locale
import os
import sys
from dataclasses import replace
from pathlib import Path

import click
from tqdm import tqdm

from mdm_lib import runtime
from mdm_lib.checkpoint import Checkpoint
from mdm_lib.commands.options import device_option, outliving_its_terminal, precision_option
from mdm_lib.config import EPOCHS, GUIDANCE_SCALES, PRESETS, SCHEDULES, Config
from mdm_lib.data import MotionClips, load_clips
from mdm_lib.errors import InputError
from mdm_lib.features.joints import REPRESENTATIONS
from mdm_lib.training.run_folder import RunFolder, resume_point, run_training
from mdm_lib.training.trainer import Trainer

#: Messages of a long run: at its start, at a checkpoint, when stopped and at its end.
MESSAGES = {
    "en": {
        "start": "Training on {data}: {clips} clips, {parameters:.1f} M parameters, {device} ({precision})",
        "resume": "Resuming at step {step}",
        "checkpoint": "-> checkpoint: {path}",
        "stopped": "Stopped; progress is saved: {path}\nResume with: python -m mdm_lib train {arguments} --resume",
        "final": "Done. Model: {path}   loss plot: {plot}",
        "done_already": "This run finished at step {step}. To continue, increase --steps, --epochs or --minutes.",
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


@click.command(context_settings={"show_default": True})
@click.option(
    "--data", default="synthetic", metavar="DATA", help="synthetic, synthetic:NUMBER, humanact12:PATH or bandai:PATH."
)
@click.option("--label-names", metavar="A,B,…", help="Names of a file's labels if they are not HumanAct12's.")
@click.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    help="tiny: minutes; small: CPU, an hour or two; paper: GPU.  [default: tiny]",
)
@click.option("--out", default="checkpoints", metavar="FOLDER", help="For checkpoints, log.csv and the loss plot.")
@click.option("--epochs", type=click.IntRange(1), help="Budget: passes over the clips.  [default: the preset's]")
@click.option("--steps", type=click.IntRange(1), help="Budget: optimiser steps.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="Budget: time, set as steps once measured.")
@click.option("--resume", is_flag=True, help="Continue the run in --out.")
@click.option(
    "--save-every", type=click.IntRange(1), metavar="STEPS", help="Checkpoint interval.  [default: a sixth of the run]"
)
@click.option("--log-every", type=click.IntRange(1), default=100, metavar="STEPS", help="Console and log.csv interval.")
@click.option("--batch-size", type=click.IntRange(1))
@click.option("--lr", type=click.FloatRange(0, min_open=True), help="Peak learning rate.")
@click.option("--seed", type=int)
@click.option("--latent-dim", type=click.IntRange(2), help="Width of the Transformer, a multiple of its 4 heads.")
@click.option("--num-layers", type=click.IntRange(1), help="Number of Transformer layers.")
@click.option("--ff-size", type=click.IntRange(1), help="Width of the feed-forward layers.")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True))
@click.option("--vel-weight", type=click.FloatRange(0), help="Weight of the velocity loss.")
@click.option(
    "--balance-timesteps/--flat-timesteps", default=None, show_default=False,
    help="Whether to divide each loss by the average at its timestep.",
)  # fmt: skip
@click.option("--representation", type=click.Choice(list(REPRESENTATIONS)))
@click.option("--schedule", type=click.Choice(SCHEDULES))
@click.option("--num-timesteps", type=click.IntRange(1, 4998), help="Diffusion steps T.")
@click.option("--guidance", type=click.FloatRange(0), help="Default guidance scale of its samples.")
@click.option("--share", metavar="FILE", help="Also write the final model here, small, for sampling only.")
@device_option
@precision_option
@click.option("--compile", is_flag=True, help="torch.compile the model (worthwhile on a GPU).")
@click.option("--lang", type=click.Choice(["en", "ja"]), help="Language of the messages.  [default: the locale's]")
@outliving_its_terminal()
def train(
    data, label_names, preset, out, epochs, steps, minutes, resume, save_every, log_every, guidance, share,
    device, precision, compile, lang, **settings,
):  # fmt: skip
    """Train a model.

    Without options: a tiny model on the embedded synthetic motion, a few minutes on a laptop.
    Ctrl-C saves, and --resume continues, bit for bit with the same number of threads.
    """
    if sum(budget is not None for budget in (epochs, steps, minutes)) > 1:
        raise InputError("give only one budget: --epochs, --steps or --minutes")
    say = _speaker(lang)
    runtime.set_threads()
    with runtime.process_group(runtime.pick_device(device)) as device:
        training_clips, _ = load_clips(data, None if label_names is None else label_names.split(",")).split()
        clips = training_clips.balanced()
        asked = {name: value for name, value in settings.items() if value is not None}
        config = replace(PRESETS[preset or "tiny"], **asked)
        checkpoint = None
        if resume:
            named = (config.to_dict() if preset else asked) | ({} if guidance is None else {"guidance_scale": guidance})
            checkpoint = resume_point(out, named, device)
        else:
            RunFolder(out).refuse_if_used()
        if checkpoint is None:  # a resumed run keeps its own
            epochs = EPOCHS[preset or "tiny"] if steps is epochs is minutes is None else epochs
            guidance = GUIDANCE_SCALES[preset or "tiny"] if guidance is None else guidance
        config = checkpoint.config if checkpoint else config
        again = f"--data {data} --out {out}" + (f" --label-names {label_names}" if label_names else "")
        _train_into(
            out, clips, config, checkpoint, say, again, share, steps=steps, epochs=epochs, minutes=minutes,
            log_every=log_every, save_every=save_every, guidance_scale=guidance, device=device, precision=precision,
            compile=compile,
        )  # fmt: skip


def _speaker(lang: str | None):
    """A function that prints a line of ``MESSAGES`` in the given language, or else the locale's."""
    # the variables first: getlocale only knows installed locales
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
    """Train with a progress bar and the lines of ``MESSAGES``; only the first process prints.

    ``again``: the arguments of ``train`` that continue this run; ``share``: path of the final small copy, if any.
    """
    speaks, bar, trainer = runtime.is_first_process(), None, None
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
            epochs = "?" if trainer.total_steps is None else trainer.stream.epoch_at(trainer.total_steps)
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
    elif speaks:
        say("done_already", step=checkpoint.training["step"])
    if speaks:  # of a run that was finished before, too: it may have been killed before these were there
        _write_results(Path(out), trainer.checkpoint() if trainer else checkpoint, share, say)


def _write_results(out: Path, final: Checkpoint, share: str | None, say) -> None:
    """The small copy that was asked for, and the loss plot; a log that cannot be plotted costs the plot alone."""
    from mdm_lib.visualise.plots import plot_losses  # here, since it loads matplotlib

    path, plot = out / "mdm_final.pth", out / "loss.png"
    if share:
        path = final.share(share)
    try:
        plot_losses(out / "log.csv", plot)
    except InputError as error:
        plot = f"none ({error})"
    say("final", path=path, plot=plot)
