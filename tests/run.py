"""All that CI runs, in one command that every system has: lint, unit tests with coverage, strict notebooks.

With ``--lowest``, the same in an environment of its own, ``build/lowest``, which has the lowest versions that
pyproject.toml allows and that have a wheel for this Python.
"""

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

# one thread a process: two test workers with two threads each would wait for one another
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MDM_FAST": "1"}
PYTEST = ["pytest", "-q", "-n", "2", "--dist", "loadscope"]
STEPS = [
    ["ruff", "check", "."],
    ["ruff", "format", "--check", "."],
    [*PYTEST, "tests", "--cov", "--cov-report=term:skip-covered", "--cov-fail-under=90"],
    [*PYTEST, "--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/sanitize.cfg",
     "--nbval-cell-timeout", "300", "notebooks"],
]  # fmt: skip
LOWEST = Path("build/lowest")
UV_INSTALL = ["uv", "pip", "install", "-q", "--python", str(LOWEST)]  # pip cannot look for the lowest version
INSTALL_LOWEST = [
    ["pip", "install", "-q", "uv"],
    [*UV_INSTALL, "--resolution", "lowest-direct", "--only-binary", ":all:", "-r", "pyproject.toml", "--extra", "test"],
    [*UV_INSTALL, "--no-deps", "-e", "."],
]

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--lowest", action="store_true", help="with the lowest versions")
python = sys.executable
if parser.parse_args().lowest:
    venv.create(LOWEST, clear=True, with_pip=True)
    python = str(LOWEST.absolute() / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python"))
    STEPS = [*INSTALL_LOWEST, *STEPS]

for step in STEPS:
    print("$", *step, flush=True)
    if code := subprocess.run([python, "-m", *step], env=ENVIRONMENT).returncode:
        sys.exit(code)
