"""Motion data: one container, ``MotionClips``, and the doors through which motion comes in."""

from mdm_lib.data.clips import FPS, MotionClips

__all__ = ["FPS", "MotionClips"]
