"""The command line: ``python -m mdm_lib train | sample | evaluate | visualise | demo | download | doctor``."""

import click

from mdm_lib.commands.demo import demo
from mdm_lib.commands.doctor import doctor
from mdm_lib.commands.download import download
from mdm_lib.commands.evaluate import evaluate
from mdm_lib.commands.options import OneLineErrors
from mdm_lib.commands.sample import sample
from mdm_lib.commands.train import train
from mdm_lib.commands.visualise import visualise

# flags may be written with hyphens or underscores
CONTEXT = {"token_normalize_func": lambda flag: flag.replace("_", "-"), "max_content_width": 100}


@click.group(cls=OneLineErrors, context_settings=CONTEXT)
@click.version_option(package_name="mdm_lib", prog_name="mdm_lib")
def main():
    """Human Motion Diffusion from scratch: train a motion diffusion model, sample from it, view its motions."""


for command in (train, sample, evaluate, visualise, demo, download, doctor):
    main.add_command(command)
