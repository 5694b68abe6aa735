"""Rotations, against scipy's."""

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation, Slerp

from mdm_lib.motion.rotations import quaternions, rotation_matrices, slerp

# ---------------------------------------------------------------- rotations

angles = arrays(np.float64, (4, 3), elements=st.floats(-6, 6))


@settings(deadline=None)
@given(angles)
def test_rotations_are_scipys(axis_angle):
    found = rotation_matrices(quaternions(torch.from_numpy(axis_angle)))
    np.testing.assert_allclose(found, Rotation.from_rotvec(axis_angle).as_matrix(), atol=1e-12)


@settings(deadline=None)
@given(angles, st.floats(0, 1))
def test_slerp_is_scipys(axis_angle, part):
    start, end = (Rotation.from_rotvec(angle) for angle in axis_angle[:2])
    assume((start.inv() * end).magnitude() < 3.1)  # at half a turn both ways are equally short
    found = slerp(*quaternions(torch.from_numpy(axis_angle[:2])), torch.tensor(part, dtype=torch.float64))
    expected = Slerp([0, 1], Rotation.concatenate([start, end]))(part)
    np.testing.assert_allclose(rotation_matrices(found), expected.as_matrix(), atol=1e-7)
