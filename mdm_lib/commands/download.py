"""``mdm_lib download``: fetch a data set."""

import click

from mdm_lib.commands.doctor import HUMANACT12_FOLDER
from mdm_lib.commands.options import OneLineErrors
from mdm_lib.data import download_humanact12


@click.group(cls=OneLineErrors)
def download():
    """Fetch a data set."""


@download.command(context_settings={"show_default": True})
@click.option("--folder", default=str(HUMANACT12_FOLDER), metavar="FOLDER")
def humanact12(folder):
    """Fetch HumanAct12Poses from the source that the official repository uses."""
    path = download_humanact12(folder)
    click.echo(f"Train on it: python -m mdm_lib train --data humanact12:{path}")
