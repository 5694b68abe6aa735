"""``mdm_lib evaluate``: measure a checkpoint against real motion."""

import click

from mdm_lib import runtime
from mdm_lib.checkpoint import load_checkpoint
from mdm_lib.commands.options import device_option
from mdm_lib.data import load_clips
from mdm_lib.errors import InputError
from mdm_lib.evaluation.judge import MAX_SAMPLES, judge_for
from mdm_lib.evaluation.judge import evaluate as evaluate_checkpoint
from mdm_lib.samplers import DEFAULT_SAMPLER, DEFAULT_STEPS, SAMPLERS
from mdm_lib.sampling import Sampling


@click.command(context_settings={"show_default": True})
@click.option("--checkpoint", default="checkpoints/mdm_final.pth", metavar="FILE")
@click.option("--data", metavar="DATA", help="The training data.  [default: the checkpoint's, if that was synthetic]")
@click.option("--label-names", metavar="A,B,…", help="As for train.")
@click.option("--seeds", type=click.IntRange(1), default=5, help="Repetitions, each with other real clips and noise.")
@click.option("--num-samples", type=click.IntRange(1), default=MAX_SAMPLES, help="Motions per repetition, at most.")
@click.option("--sampler", type=click.Choice(list(SAMPLERS)), default=DEFAULT_SAMPLER)
@click.option("--steps", type=int, help=f"Denoising steps.  [default: {DEFAULT_STEPS}; ddpm: all]")
@click.option("--guidance", type=float, help="[default: the checkpoint's]")
@click.option("--recogniser-seed", type=int, default=0, help="Seed of the recogniser's training.")
@click.option("--json", "json_path", metavar="FILE", help="Also write the figures to this file.")
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@device_option
def evaluate(
    checkpoint, data, label_names, seeds, num_samples, sampler, steps, guidance, recogniser_seed, json_path, markdown,
    device,
):  # fmt: skip
    """Measure a checkpoint against real motion: recognition, FID, diversity, physics, memorisation.

    Every figure is shown beside the score of real motion itself. The recogniser is trained first (about a minute) and
    kept in output/ for later runs.
    """
    runtime.set_threads()
    model = load_checkpoint(checkpoint, runtime.pick_device(device))
    if data is None and not model.source.startswith("synthetic"):
        raise InputError(f"give its training data with --data; this checkpoint was trained on {model.source}")
    sampling = Sampling(sampler, steps, guidance_scale=guidance).planned(model)
    clips = load_clips(data or model.source, None if label_names is None else label_names.split(","))
    judge = judge_for(clips, model.config.num_frames, num_samples, recogniser_seed, cache="output")
    card = evaluate_checkpoint(model, judge, num_seeds=seeds, sampling=sampling)
    click.echo(card.to_markdown() if markdown else str(card))
    if json_path:
        click.echo(f"\n-> {card.save(json_path)}")
