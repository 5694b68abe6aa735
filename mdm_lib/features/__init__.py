"""Motion features: invertible maps between joints and normalised features."""

from mdm_lib.features.joints import REPRESENTATIONS, Positions, Representation, RootVelocity

__all__ = [
    "REPRESENTATIONS",
    "Positions",
    "Representation",
    "RootVelocity",
]
