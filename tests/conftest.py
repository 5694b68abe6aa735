"""Where the tests find real motion: bandai12.npz, which is never committed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEFAULT_REAL_DATA = Path(__file__).parents[2] / "shared" / "data" / "bandai12.npz"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """``bandai12.npz``: 1,030 clips of studio motion capture."""
    path = Path(os.environ.get("MDM_REAL_DATA") or DEFAULT_REAL_DATA)
    if not path.is_file():
        pytest.skip("needs real motion: set MDM_REAL_DATA to the place of bandai12.npz")
    return path


@pytest.fixture(scope="session")
def humanact12_pickle(real_data, tmp_path_factory) -> Path:
    """Five clips of each of its actions, in the layout of HumanAct12Poses."""
    writer = real_data.with_name("as_humanact12poses.py")
    if not writer.is_file():
        pytest.skip(f"needs {writer.name} beside {real_data.name}")
    folder = tmp_path_factory.mktemp("humanact12")
    subprocess.run([sys.executable, writer, folder, "--short"], check=True, capture_output=True)
    return folder / "humanact12poses.pkl"


@pytest.fixture(scope="session")
def action2motion_file(real_data) -> Path:
    """The recogniser of the papers on HumanAct12, as github.com/EricGuo5513/action-to-motion has it."""
    path = real_data.parent / "action2motion" / "action_recognition_model_humanact12.tar"
    if not path.is_file():
        pytest.skip(f"needs {path.name} in a folder action2motion beside {real_data.name}")
    return path
