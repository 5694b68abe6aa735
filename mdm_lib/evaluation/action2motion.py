"""The recogniser with which the papers on HumanAct12 measure: Action2Motion's (Guo et al. 2020), from its own file.

It is ``action_recognition_model_humanact12.tar`` of https://github.com/EricGuo5513/action-to-motion (MIT licence).
ACTOR and MDM use it as well; it never saw the embedded clips. ``evaluation.papers`` measures with it as MDM does.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from mdm_lib.data.humanact12 import HUMANACT12_ACTIONS
from mdm_lib.errors import InputError
from mdm_lib.evaluation.recogniser import Recognition
from mdm_lib.motion.geometry import face_forward
from mdm_lib.motion.skeleton import JOINT, NUM_JOINTS
from mdm_lib.reading import read_weights, reading, shown
from mdm_lib.runtime import seeded
from mdm_lib.sampling import hold_last_pose

#: Frames of the motions that it was trained on, 20 a second.
NUM_FRAMES = 60
WIDTH, NUM_LAYERS, NUM_FEATURES = 128, 2, 30
#: SMPL's hand joints, which the course's skeleton lacks, lie beyond the wrists: this share of the forearm, as in a true
#: clip of HumanAct12 (HumanML3D's 000001), where they lie 11 degrees off the forearm's line.
HAND = 0.34
_ELBOWS, _WRISTS = ([JOINT[f"{side}_{part}"] for side in ("left", "right")] for part in ("elbow", "wrist"))


class Action2Motion(nn.Module):
    """Names HumanAct12's actions: a GRU, its output of the last frame, 30 features, 12 logits.

    ``recognise`` is what a ``Judge`` asks. Where a motion is and where it heads at first does not matter.
    """

    about = "Action2Motion's for HumanAct12"

    def __init__(self):
        super().__init__()
        self.label_names = HUMANACT12_ACTIONS
        self.recurrent = nn.GRU(3 * (NUM_JOINTS + 2), WIDTH, NUM_LAYERS)
        self.linear1 = nn.Linear(WIDTH, NUM_FEATURES)
        self.linear2 = nn.Linear(NUM_FEATURES, len(HUMANACT12_ACTIONS))

    def forward(self, seen: Tensor) -> Recognition:
        """``camera_view`` ``[B, F, 72]`` → logits ``[B, 12]`` and features ``[B, 30]``, between -1 and 1.

        The published code draws the GRU's first state at random. Here it is zero, so that a motion has one answer.
        """
        output, _ = self.recurrent(seen.transpose(0, 1))
        features = self.linear1(output[-1]).tanh()
        return Recognition(self.linear2(features), features)

    @torch.no_grad()
    def recognise(self, joints: Tensor, lengths: Tensor) -> Recognition:
        """What it says of motions ``[N, F, 22, 3]``, metres, y up, 20 frames a second, with ``lengths [N]``.

        As in the papers, it sees 60 frames: a shorter motion holds its last pose to the end.

        Raises:
            InputError: for motions of over 60 frames, or of other joints.
        """
        if joints.dim() != 4 or joints.shape[2:] != (NUM_JOINTS, 3) or not 1 <= joints.shape[1] <= NUM_FRAMES:
            raise InputError(
                f"motions are {list(joints.shape)}; Action2Motion's recogniser looks at [N, frames, {NUM_JOINTS}, 3], "
                f"SMPL's first {NUM_JOINTS} joints and at most {NUM_FRAMES} frames: cut them"
            )
        joints, lengths = joints.cpu().float(), lengths.cpu()
        missing = NUM_FRAMES - joints.shape[1]
        joints = hold_last_pose(torch.cat([joints, joints[:, -1:].expand(-1, missing, -1, -1)], 1), lengths)
        parts = [self(camera_view(part)) for part in joints.split(256)]
        return Recognition(*(torch.cat(part) for part in zip(*parts, strict=True)))


def camera_view(joints: Tensor) -> Tensor:
    """Motions ``[B, F, 22, 3]``, metres, y up, as HumanAct12 has them: ``[B, F, 72]``.

    24 joints, the first frame's pelvis at the origin, y down by a half turn about x. HumanAct12's people stand before a
    camera; who faces +z here faces it there. The first frame's body is turned so.
    """
    joints = face_forward(joints)
    elbow, wrist = joints[:, :, _ELBOWS], joints[:, :, _WRISTS]
    joints = torch.cat([joints, wrist + HAND * (wrist - elbow)], 2)
    return ((joints - joints[:, :1, :1]) * joints.new_tensor([1.0, -1.0, -1.0])).flatten(2)


def load_action2motion(path: str | Path) -> Action2Motion:
    """Read Action2Motion's file of weights; code inside it is never run.

    Raises:
        InputError: if there is no such file, or it is damaged or something else; the message says what is wrong.
    """
    what = "Action2Motion's recogniser (action_recognition_model_humanact12.tar)"
    with reading(path, what, "get it again from github.com/EricGuo5513/action-to-motion"):
        content = read_weights(path, old_layout=True)
        weights = content.get("model") if isinstance(content, dict) else None
        if not isinstance(weights, dict):
            found = ", ".join(map(shown, list(content)[:6])) if isinstance(content, dict) else shown(content)
            raise InputError(f"{path} is not {what}: it has no dict 'model' of weights, but {found or 'nothing'}")
        with seeded(0, torch.device("cpu")):  # weights are drawn, and overwritten at once
            recogniser = Action2Motion()
        _check_weights(path, weights, recogniser.state_dict())
        recogniser.load_state_dict(weights)
    return recogniser.eval()


def _check_weights(path: str | Path, weights: dict, wanted: dict[str, Tensor]) -> None:
    for name in [*wanted, *weights]:
        if name not in wanted or name not in weights:
            verb = "lacks the weights" if name in wanted else "has weights that this recogniser does not know,"
            raise InputError(f"{path} {verb} {shown(name)}; it is another network than Action2Motion's for HumanAct12")
        found, shape = weights[name], list(wanted[name].shape)
        if not isinstance(found, Tensor) or list(found.shape) != shape or not found.is_floating_point():
            has = f"{list(found.shape)} of {found.dtype}" if isinstance(found, Tensor) else shown(found)
            raise InputError(f"{path}: {name} must be {shape} numbers, not {has}; it is another network")
        if not found.isfinite().all():
            raise InputError(f"{path}: {name} has NaN or infinite numbers; get it again")
