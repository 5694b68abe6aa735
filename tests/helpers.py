"""What tests of several folders make their inputs with."""

import pickle

import numpy as np
import torch

from mdm_lib import MotionClips
from mdm_lib.data import synthetic_clips
from mdm_lib.evaluation.action2motion import Action2Motion
from mdm_lib.motion.skeleton import JOINT, SMPL22, side


def some_clips(lengths=(30, 8, 50, 20), labels=(0, 1, 0, 1), label_names=("walk-left", "walk-right"), seed=0):
    """Bodies in a T-pose that drift and tremble: enough shape to have a heading."""
    generator = torch.Generator().manual_seed(seed)
    pose = torch.zeros(22, 3)
    pose[:, 0] = torch.tensor([{"left": 0.2, "right": -0.2, "centre": 0.0}[side(j)] for j in range(22)])
    pose[:, 1] = torch.linspace(0.9, 1.6, 22)
    clips = []
    for length in lengths:
        drift = torch.randn(3, generator=generator) * torch.linspace(0, 1, length)[:, None]
        trembling = 0.01 * torch.randn(length, 22, 3, generator=generator)
        clips.append(pose + drift[:, None] * torch.tensor([1.0, 0.1, 1.0]) + trembling)
    return MotionClips.from_list(clips, labels, label_names)


def clip(num_frames=30, num_joints=24, seed=0):
    """Somewhere before a camera: y points down, and the lowest joints are the feet's, at y = 1.5."""
    joints = np.random.default_rng(seed).uniform(-0.5, 0.5, (num_frames, num_joints, 3)).astype("f4")
    joints[:, [JOINT["left_foot"], JOINT["right_foot"]], 1] = 1.5
    return joints


def layout(**changes):
    clips = [clip(30), clip(8, seed=1), clip(70, seed=2)]
    poses = [np.zeros((len(c), 72), "f4") for c in clips]
    return {"poses": poses, "oldposes": poses, "joints3D": clips, "y": [0, 11, 3]} | changes


def write(path, content, protocol=2):
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


def standing(num_frames: int = 40) -> torch.Tensor:
    """A motionless body ``[1, F, 22, 3]`` whose foot joints are 3 cm over the floor."""
    body = synthetic_clips(1).joints[:1, :1].clone()
    body[..., 1] -= body[..., list(SMPL22.feet), 1].min() - 0.03
    body[..., list(SMPL22.feet), 1] = 0.03
    return body.expand(-1, num_frames, -1, -1).clone()


def made_up_action2motion(path, **changes):
    """A file with the keys of the papers' recogniser, in torch's old layout as it is, and with weights of chance."""
    torch.manual_seed(0)
    weights = {**Action2Motion().state_dict(), **changes}
    content = {"model": {name: value for name, value in weights.items() if value is not None}, "iteration": 3}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path
