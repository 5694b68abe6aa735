"""``python -m mdm_lib``."""

from mdm_lib.commands.cli import main

main()
