"""Motion features: invertible maps between joints and normalised features."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from mdm_lib.motion.geometry import OVER_GROUND
from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.runtime import constant


class Representation(nn.Module):
    """Invertible map from joints ``[B, F, J, 3]`` (metres, facing forward) to normalised features ``[B, F, D]``.

    A subclass defines the raw features (``from_joints``), their inverse (``to_joints``), and which of
    them share a scale (``scale_groups``). ``fit`` estimates each feature's mean and each group's
    standard deviation; both are buffers, so checkpoints contain them.
    """

    def __init__(self, skeleton: Skeleton = SMPL22):
        super().__init__()
        self.num_features = 3 * skeleton.num_joints
        self.register_buffer("mean", torch.zeros(self.num_features))
        self.register_buffer("std", torch.ones(self.num_features))

    def from_joints(self, joints: Tensor) -> Tensor:
        """``[B, F, J, 3]`` metres → raw features ``[B, F, D]``."""
        raise NotImplementedError

    def to_joints(self, features: Tensor) -> Tensor:
        """Raw features ``[B, F, D]`` → ``[B, F, J, 3]`` metres."""
        raise NotImplementedError

    def scale_groups(self) -> Tensor:
        """``[D]`` int64, each feature's group; groups count from 0."""
        raise NotImplementedError

    def fit(self, joints: Tensor, mask: Tensor) -> "Representation":
        """Fit the normaliser to the real frames (``mask [B, F]``) of motions ``[B, F, J, 3]``; returns itself."""
        return self.fit_parts([(joints, mask)])

    def fit_parts(self, parts: Iterable[tuple[Tensor, Tensor]]) -> "Representation":
        """``fit`` to motions that come in parts (joints, mask), so that their features need not all be in memory.

        Means and variances of two sets give those of both (Chan, Golub & LeVeque 1983, eq. 2.1).
        """
        count, mean, variance = 0, None, None
        for joints, mask in parts:
            features = self.from_joints(joints)[mask].cpu().double()  # Apple's MPS has no float64
            more, its_mean, its_variance = len(features), features.mean(0), features.var(0, unbiased=False)
            if count == 0:
                count, mean, variance = more, its_mean, its_variance
            elif more:
                share, apart = more / (count + more), its_mean - mean
                variance = (1 - share) * variance + share * its_variance + share * (1 - share) * apart**2
                count, mean = count + more, mean + share * apart
        groups = self.scale_groups()
        group_variance = torch.stack([variance[groups == g].mean() for g in range(int(groups.max()) + 1)])
        self.mean.copy_(mean)
        # a deviation below a millimetre is noise of a constant feature; do not amplify it
        self.std.copy_(group_variance.sqrt().clamp(min=1e-3)[groups])
        return self

    def encode(self, joints: Tensor) -> Tensor:
        """``[B, F, J, 3]`` metres → ``[B, F, D]`` normalised."""
        return (self.from_joints(joints) - self.mean) / self.std

    def decode(self, features: Tensor) -> Tensor:
        """``[B, F, D]`` normalised → ``[B, F, J, 3]`` metres."""
        return self.to_joints(features * self.std + self.mean)


class Positions(Representation):
    """Joint positions, each coordinate scaled by its own standard deviation."""

    def from_joints(self, joints: Tensor) -> Tensor:
        return joints.flatten(2)

    def to_joints(self, features: Tensor) -> Tensor:
        return features.unflatten(2, (-1, 3))

    def scale_groups(self) -> Tensor:
        return torch.arange(self.num_features)


class RootVelocity(Representation):
    """Ground velocity (metres per frame) and height of the pelvis; other joints relative to the pelvis in x and z.

    The pose features then do not depend on where the person is. All joints share one scale, so that a
    centimetre counts the same at a wrist and at a hip; velocity and height have their own.
    """

    def from_joints(self, joints: Tensor) -> Tensor:
        root = joints[:, :, :1]
        travel = torch.diff(root, dim=1, prepend=root[:, :1])
        over_ground = constant(OVER_GROUND, joints.device)
        first = travel * over_ground + root * (1 - over_ground)  # (velocity x, height, velocity z)
        return torch.cat([first, joints[:, :, 1:] - root * over_ground], dim=2).flatten(2)

    def to_joints(self, features: Tensor) -> Tensor:
        first, others = features.unflatten(2, (-1, 3)).tensor_split([1], dim=2)
        over_ground = constant(OVER_GROUND, features.device)
        travelled = first.cumsum(1) * over_ground
        return torch.cat([travelled + first * (1 - over_ground), others + travelled], dim=2)

    def scale_groups(self) -> Tensor:
        return torch.tensor([0, 1, 0] + [2] * (self.num_features - 3))


REPRESENTATIONS = {"positions": Positions, "root_velocity": RootVelocity}
