"""Checks of the first exercises: two numbers that distinguish a jump from a walk."""

import torch

from mdm_lib.checks.tutor import check, expect, expect_close


def _somebody(pelvis: list[list[float]]) -> torch.Tensor:
    """A motion ``[1, F, 22, 3]`` whose pelvis follows this path, metres; the other joints are elsewhere."""
    motion = torch.full((1, len(pelvis), 22, 3), 9.0)
    motion[0, :, 0] = torch.tensor(pelvis)
    return motion


@check
def rise(answer) -> str:
    """``rise(motions [N, F, 22, 3]) -> [N]``: metres between the pelvis's lowest and highest positions."""
    up_and_down = _somebody([[0, 1.0, 0], [0, 0.7, 0], [0, 1.3, 0], [0, 1.0, 0]])
    got = answer(torch.cat([up_and_down, up_and_down * 2]))
    shape = list(torch.as_tensor(got).shape)
    expect(shape != [2, 22], "there is a number for each joint; take the pelvis, joint 0")
    expect(shape == [2], f"two motions went in, so two numbers should come out; the shape is {shape}")
    at_the_end = abs(float(got[0])) < 1e-6
    expect(not at_the_end, "it compares the last frame with the first; a jump that lands where it began has risen too")
    expect(abs(float(got[0]) - 0.3) > 1e-6, "it begins at the first frame; the lowest position is the crouch")
    expect_close(got, torch.tensor([0.6, 1.2]), "a pelvis between 0.7 m and 1.3 m rises by 0.6 m")
    walk = _somebody([[0, 1.0, 0], [5, 1.1, 5]])
    expect_close(answer(walk), torch.tensor([0.1]), "only coordinate 1 points up; travelling is not rising")
    return "from lowest to highest, independent of travel over the floor"


@check
def travel(answer) -> str:
    """``travel(motions [N, F, 22, 3]) -> [N]``: metres over the floor from the first frame to the last."""
    walk = _somebody([[1, 1.0, 1], [9, 1.0, 1], [4, 1.0, 5]])
    got = answer(torch.cat([walk, walk]))
    shape = list(torch.as_tensor(got).shape)
    expect(shape == [2], f"two motions went in, so two numbers should come out; the shape is {shape}")
    expect(abs(float(got[0]) - 7) > 1e-4, "it adds x and z; the distance is the root of the sum of their squares")
    expect_close(got, torch.tensor([5.0, 5.0]), "from (1, 1) to (4, 5) over the floor should be 5 m")
    rising = _somebody([[0, 0.0, 0], [3, 12.0, 4]])
    expect_close(answer(rising), torch.tensor([5.0]), "height does not count: use x and z, coordinates 0 and 2")
    return "straight over the floor, without height"
