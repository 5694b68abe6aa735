"""All that CI runs, in one command that every system has: lint, unit tests with coverage, strict notebooks."""

import os
import subprocess
import sys

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

for step in STEPS:
    print("$", *step, flush=True)
    if code := subprocess.run([sys.executable, "-m", *step], env=ENVIRONMENT).returncode:
        sys.exit(code)
