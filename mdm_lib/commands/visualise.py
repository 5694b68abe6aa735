"""``mdm_lib visualise``: draw motions."""

from pathlib import Path

import click

from mdm_lib.errors import InputError
from mdm_lib.formats.npy import load_motions
from mdm_lib.visualise.strips import save_film_strip, save_gif
from mdm_lib.words import plain_number


@click.command(context_settings={"show_default": True})
@click.option("--input", "input_path", required=True, metavar="FILE.npy", type=Path)
@click.option(
    "--output", metavar="FILE", type=Path, help=".gif: animation; .png: film strip.  [default: both, beside the input]"
)
@click.option("--title", default="")
@click.option("--fps", type=float, help="Frames per second of the motions.  [default: as described beside them, or 20]")
def visualise(input_path, output, title, fps):
    """Draw motions as an animated GIF and a film strip.

    The file holds motions [N, frames, joints, 3] in metres. Others are read as far as they can be understood: the
    results.npy of MDM's own code, 24, 52 or 55 joints, other orders of the axes, another axis up.
    """
    if fps is not None and not 0 < plain_number("--fps", fps) <= 1000:
        raise InputError(f"--fps is {fps:g}; give frames per second, up to 1000")
    motions, about = load_motions(input_path)
    look = {"title": title, "lengths": about.get("lengths"), "captions": about.get("label_names")}
    look |= {"fps": fps or about["fps"], "skeleton": about["skeleton"]}
    for path in [output] if output else [input_path.with_suffix(".gif"), input_path.with_suffix(".png")]:
        if path.suffix not in (".gif", ".png"):
            raise InputError(f"{path}: the output must be a .gif (animation) or a .png (film strip)")
        (save_gif if path.suffix == ".gif" else save_film_strip)(path, motions, **look)
        click.echo(f"-> {path}")
