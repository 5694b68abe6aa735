"""Human Motion Diffusion from scratch: the package that the course builds, chapter by chapter."""

from mdm_lib.checkpoint import Checkpoint, load_checkpoint
from mdm_lib.config import PRESETS, Config
from mdm_lib.data import load_clips
from mdm_lib.errors import InputError
from mdm_lib.files import asset_path
from mdm_lib.model import MDM, PositionalEncoding
from mdm_lib.motion import MotionClips
from mdm_lib.moved import keep_old_addresses
from mdm_lib.sampling import Sampling, generate, sample
from mdm_lib.scheduler import NoiseScheduler
from mdm_lib.training.trainer import train

__all__ = [
    "MDM",
    "PRESETS",
    "Checkpoint",
    "Config",
    "InputError",
    "MotionClips",
    "NoiseScheduler",
    "PositionalEncoding",
    "Sampling",
    "asset_path",
    "generate",
    "load_checkpoint",
    "load_clips",
    "sample",
    "train",
]

keep_old_addresses()
