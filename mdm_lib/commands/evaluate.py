"""``mdm_lib evaluate``: measure a checkpoint against real motion."""

import click

from mdm_lib import runtime
from mdm_lib.checkpoint import load_checkpoint
from mdm_lib.commands.options import device_option
from mdm_lib.data import load_clips
from mdm_lib.errors import InputError
from mdm_lib.evaluation.action2motion import NUM_FRAMES, Action2Motion, load_action2motion
from mdm_lib.evaluation.judge import MAX_SAMPLES, judge_for
from mdm_lib.evaluation.judge import evaluate as evaluate_checkpoint
from mdm_lib.evaluation.papers import SAMPLES, SEEDS, evaluate_as_papers
from mdm_lib.samplers import DEFAULT_SAMPLER, DEFAULT_STEPS, SAMPLERS
from mdm_lib.sampling import Sampling

OWN_SEEDS = 5


@click.command(context_settings={"show_default": True})
@click.option("--checkpoint", default="checkpoints/mdm_final.pth", metavar="FILE")
@click.option("--data", metavar="DATA", help="The training data.  [default: the checkpoint's, if that was synthetic]")
@click.option("--label-names", metavar="A,B,…", help="As for train.")
@click.option(
    "--recogniser",
    metavar="action2motion:FILE",
    help="Measure as the papers on HumanAct12 do, with their recogniser.  [default: one trained on the data]",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    help=f"Repetitions, each with other real clips and noise.  [default: {OWN_SEEDS}; action2motion: {SEEDS}]",
)
@click.option(
    "--num-samples",
    type=click.IntRange(1),
    help=f"Motions per repetition, at most.  [default: {MAX_SAMPLES}; action2motion: {SAMPLES:,}]",
)
@click.option("--frames", type=click.IntRange(2), help="Length of the motions.  [default: the model's own]")
@click.option("--sampler", type=click.Choice(list(SAMPLERS)), default=DEFAULT_SAMPLER)
@click.option("--steps", type=int, help=f"Denoising steps.  [default: {DEFAULT_STEPS}; ddpm: all]")
@click.option("--guidance", type=float, help="[default: the checkpoint's]")
@click.option("--recogniser-seed", type=int, default=0, help="Seed of the training of the data's own recogniser.")
@click.option("--json", "json_path", metavar="FILE", help="Also write the figures to this file.")
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@device_option
def evaluate(
    checkpoint, data, label_names, recogniser, seeds, num_samples, frames, sampler, steps, guidance, recogniser_seed,
    json_path, markdown, device,
):  # fmt: skip
    """Measure a checkpoint against real motion: recognition, FID, diversity, physics, memorisation.

    Every figure is shown beside the score of real motion itself. The recogniser is trained first (about a minute) and
    kept in output/ for later runs. With --recogniser action2motion:FILE it is the one of the papers on HumanAct12, the
    protocol is theirs, and their table stands beside the figures; the model must have HumanAct12's actions. Get the
    file, action_recognition_model_humanact12.tar, from github.com/EricGuo5513/action-to-motion.
    """
    runtime.set_threads()
    papers = None if recogniser is None else _papers_recogniser(recogniser)
    model = load_checkpoint(checkpoint, runtime.pick_device(device))
    if data is None and not model.source.startswith("synthetic"):
        raise InputError(f"give its training data with --data; this checkpoint was trained on {model.source}")
    sampling = Sampling(sampler, steps, guidance_scale=guidance).planned(model)
    clips = load_clips(data or model.source, None if label_names is None else label_names.split(","))
    if papers:
        if frames not in (None, NUM_FRAMES):
            raise InputError(f"--frames is {frames}; the recogniser of the papers looks at {NUM_FRAMES}, leave it out")
        card = evaluate_as_papers(
            model, clips, papers, num_seeds=seeds or SEEDS, num_samples=num_samples or SAMPLES, sampling=sampling
        )
    else:
        frames = frames or model.config.num_frames
        judge = judge_for(clips, frames, num_samples or MAX_SAMPLES, recogniser_seed, cache="output")
        card = evaluate_checkpoint(model, judge, num_seeds=seeds or OWN_SEEDS, sampling=sampling)
    click.echo(card.to_markdown() if markdown else str(card))
    if json_path:
        click.echo(f"\n-> {card.save(json_path)}")


def _papers_recogniser(spec: str) -> Action2Motion:
    name, _, path = spec.partition(":")
    if name != "action2motion" or not path:
        raise InputError(f"unknown recogniser {spec!r}; use action2motion:FILE, or leave it out")
    return load_action2motion(path)
