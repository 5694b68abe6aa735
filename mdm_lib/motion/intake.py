"""Motion from elsewhere: brought to metres, y up and one rate, and examined for what usually goes wrong on the way."""

import math

import torch
from torch import Tensor

from mdm_lib.errors import InputError
from mdm_lib.motion.geometry import heading, turn
from mdm_lib.motion.skeleton import SMPL22, Skeleton, hold_bone_lengths
from mdm_lib.words import known

#: For each axis that may point up, the rotation that turns it to +y (a reflection would exchange the sides).
UPRIGHT = {
    "y": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "-y": ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0)),
    "z": ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.0, -1.0, 0.0)),
    "-z": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
}
#: Joints of SMPL, SMPL-H and SMPL-X: all begin with the same 22.
BEGIN_WITH_SMPL22 = (24, 52, 55)
LOWEST, USUAL, HIGHEST = 0.5, 1.65, 2.5  # metres, of a person's height
UNITS = (0.01, 0.0254, 0.001, 0.3048)  # metres: centimetre, inch, millimetre, foot
FASTEST = 20.0  # metres per second, of a joint


def bring_in(
    motion, where: str, fps: float, to_fps: float, up: str = "y", scale: float = 1.0, swap_sides: bool = False,
    skeleton: Skeleton = SMPL22,
) -> Tensor:  # fmt: skip
    """A motion ``[F, J, 3]`` of any kind of numbers as float32, in metres, y up, ``to_fps`` frames per second.

    Args:
        where: what messages call it.
        fps: its frames per second.
        up: the axis that points up, a key of ``UPRIGHT``.
        scale: metres in its unit: 0.01 for centimetres.
        swap_sides: whether its left joints are called right ones.

    Raises:
        InputError: for what is not numbers ``[F, J, 3]`` of this skeleton.
    """
    try:
        joints = torch.as_tensor(motion).detach().cpu().float()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{where} is not an array of numbers: {error}") from error
    if skeleton == SMPL22 and joints.dim() == 3 and joints.shape[1] in BEGIN_WITH_SMPL22:
        joints = joints[:, : skeleton.num_joints]
    if joints.dim() != 3 or joints.shape[1:] != (skeleton.num_joints, 3):
        raise InputError(f"{where} must be [frames, {skeleton.num_joints} joints, 3], not {list(joints.shape)}")
    upright = torch.tensor(UPRIGHT[known("up axis", up, tuple(UPRIGHT))])
    joints = scale * joints @ upright.mT
    if swap_sides:
        joints = joints[:, skeleton.mirror]
    return resample(joints, fps, to_fps, skeleton)


def resample(joints: Tensor, fps: float, to_fps: float, skeleton: Skeleton = SMPL22) -> Tensor:
    """``[F, J, 3]`` at another rate: joints on the straight line between two frames, bones as long as on average."""
    if fps == to_fps or len(joints) < 2:
        return joints
    time = torch.arange(int((len(joints) - 1) * to_fps / fps + 1e-6) + 1, dtype=torch.float64) * fps / to_fps
    before = time.floor().long().clamp(max=len(joints) - 2)
    between = joints[before].lerp(joints[before + 1], (time - before).float()[:, None, None])
    everything = torch.ones(1, len(between), dtype=torch.bool)
    return hold_bone_lengths(between[None], everything, skeleton)[0]


def up_axis(joints: Tensor, skeleton: Skeleton = SMPL22) -> str:
    """The axis along which the heads of most frames ``[F, J, 3]`` stand over the feet, a key of ``UPRIGHT``.

    "y" where nothing says otherwise: for a body that lies, or a skeleton without head or feet.
    """
    if skeleton.head < 0 or not skeleton.feet:
        return "y"
    rise = (joints[:, skeleton.head] - joints[:, skeleton.feet].mean(1)).median(0).values
    tallest = float((joints.amax(1) - joints.amin(1)).median(0).values.max())
    up = max(UPRIGHT, key=lambda axis: rise[1 if axis[-1] == "y" else 2] * (-1 if axis[0] == "-" else 1))
    return up if abs(rise[1 if up[-1] == "y" else 2]) > 0.7 * tallest else "y"


def doubts(joints: Tensor, fps: float, skeleton: Skeleton = SMPL22) -> list[str]:
    """What looks wrong with a motion ``[F, J, 3]``, and what to pass to mend it; nothing for most motions.

    Head below the feet, a height that nobody has, feet that point backwards (exchanged sides), frames that jump.
    """
    found = []
    extent = (joints.amax(1) - joints.amin(1)).median(0).values  # [3]
    height, tallest = float(extent[1]), float(extent.max())
    if skeleton.head >= 0 and skeleton.feet:
        rise = (joints[:, skeleton.head] - joints[:, skeleton.feet].mean(1)).median(0).values
        if rise[1] < -0.3 * tallest:
            found.append('has its head below its feet; if y points down, pass up="-y"')
        elif abs(rise[2]) > 0.7 * tallest:
            found.append(f'lies on its {"back" if rise[2] < 0 else "front"}; if z points up, pass up="z" (down: "-z")')
    if not LOWEST <= tallest <= HIGHEST:
        unit = min(UNITS, key=lambda unit: abs(math.log(max(tallest, 1e-9) * unit / USUAL)))
        fits = LOWEST <= tallest * unit <= HIGHEST
        hint = f"pass scale={unit:g}" if fits else "pass scale, the metres in its unit"
        found.append(f"is {tallest:.3g} m tall; {hint}")
    if not found and skeleton.feet and skeleton.facing:
        ankles = [skeleton.parents[foot] for foot in skeleton.feet]
        feet = (joints[:, skeleton.feet] - joints[:, ankles]).mean(1)[:, None, None]  # [F, 1, 1, 3]
        ahead = turn(feet, -heading(joints, skeleton))[:, 0, 0, 2]
        if ahead.median() < -0.02 * height:
            found.append("has its toes behind its ankles; if left and right are exchanged, pass swap_sides=True")
    speed = joints.diff(dim=0).norm(dim=-1).amax(1) * fps
    if len(speed) and speed.max() > FASTEST * max(tallest, LOWEST) / 1.7:
        frame = int(speed.argmax())
        found.append(f"jumps by {float(speed[frame]) / fps:.2g} m from frame {frame} to {frame + 1}; cut it there")
    return found
