"""``mdm_lib sample``: generate motions of one action."""

from pathlib import Path

import click

from mdm_lib import runtime
from mdm_lib.checkpoint import load_checkpoint
from mdm_lib.commands.options import device_option, precision_option, sample_with_bar
from mdm_lib.errors import InputError
from mdm_lib.formats.npy import save_motions
from mdm_lib.samplers import DEFAULT_SAMPLER, DEFAULT_SPACING, DEFAULT_STEPS, SAMPLERS, SPACINGS
from mdm_lib.sampling import Sampling


@click.command(context_settings={"show_default": True})
@click.option("--checkpoint", default="checkpoints/mdm_final.pth", metavar="FILE")
@click.option("--action", help="The action by name: --action jump.")
@click.option("--action-id", type=int, help="The action by number: --action_id 3.")
@click.option("--num-samples", type=click.IntRange(1), default=4)
@click.option("--sampler", type=click.Choice(list(SAMPLERS)), default=DEFAULT_SAMPLER)
@click.option("--steps", type=int, help=f"Denoising steps.  [default: {DEFAULT_STEPS}; ddpm: all]")
@click.option("--spacing", type=click.Choice(SPACINGS), default=DEFAULT_SPACING, help="Steps even in t or log SNR.")
@click.option("--eta", type=float, default=0.0, help="Noise that ddim adds back, 0 to 1.")
@click.option("--guidance", type=float, help="Scale; 1: none; more: clearer, less varied.  [default: the checkpoint's]")
@click.option("--frames", type=int, help="Length; past that of its training a model freezes.  [default: the model's]")
@click.option("--seed", type=int, default=0)
@click.option("--output-path", metavar="FILE", help="[default: output/generated_actionA_samplesN.npy]")
@device_option
@precision_option
def sample(
    checkpoint, action, action_id, num_samples, sampler, steps, spacing, eta, guidance, frames, seed, output_path,
    device, precision,
):  # fmt: skip
    """Generate motions of one action: a .npy [N, frames, joints, 3] in metres, and a .json that describes it."""
    if (action is None) == (action_id is None):
        raise InputError("give one action: --action NAME or --action_id NUMBER")
    runtime.set_threads()
    model = load_checkpoint(checkpoint, runtime.pick_device(device))
    label = model.action_id(action if action is not None else action_id)
    sampling = Sampling(
        sampler, steps, spacing, eta, guidance_scale=guidance, num_frames=frames, seed=seed, precision=precision
    ).planned(model)
    motions = sample_with_bar(model, label, num_samples, sampling)
    path = Path(output_path or f"output/generated_action{label}_samples{num_samples}.npy")
    made_by = {"checkpoint": str(checkpoint), **sampling.to_plain()}
    save_motions(path, motions, [label] * num_samples, model.label_names, made_by, model.skeleton, model.fps)
    click.echo(f"{num_samples} × {model.label_names[label]}, {motions.shape[1] / model.fps:.1f} s each -> {path}")
    click.echo(f"View it: python -m mdm_lib visualise --input {path}")
