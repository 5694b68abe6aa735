"""Motion that the measures are tried on."""

import pytest

from mdm_lib.data import synthetic_clips


@pytest.fixture(scope="session")
def clips():
    return synthetic_clips(48, seed=5)
