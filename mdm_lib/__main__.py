"""``python -m mdm_lib``."""

from mdm_lib.cli import main

main()
