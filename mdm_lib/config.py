"""What makes a model and what makes a training, as frozen records that every checkpoint carries; and the presets."""

from dataclasses import asdict, dataclass, fields

from mdm_lib.errors import InputError
from mdm_lib.words import MOST_SEED, known, plain_number

SCHEDULES = ("linear", "cosine")
#: From where to where each number may be: far beyond what is of use, and short of what fills the memory.
RANGES = {
    "latent_dim": (1, 16384), "num_layers": (1, 1000), "num_heads": (1, 1024), "ff_size": (1, 65536),
    "dropout": (0, 0.999), "num_frames": (2, 5000),
    "min_frames": (0, 5000), "max_frames": (0, 5000), "num_timesteps": (1, 100_000), "batch_size": (1, 65536),
    "lr": (0, 100), "final_lr": (0, 100), "warmup_steps": (1, 10**9), "weight_decay": (0, 100), "grad_clip": (0, 10**9),
    "vel_weight": (0, 10**9), "cond_mask_prob": (0, 1), "ema_decay": (0, 1), "seed": (0, MOST_SEED),
}  # fmt: skip


def make_plain(config) -> None:
    """Turn numpy's and torch's numbers into Python's.

    Raises:
        InputError: for what has another type than its default, or is out of ``RANGES``.
    """
    for field in fields(config):
        value, kind = getattr(config, field.name), field.type
        if kind in (int, float):
            value = plain_number(field.name, value)
        elif kind is bool and hasattr(value, "item"):
            value = value.item()
        elif kind is str and isinstance(value, str):
            value = str(value)  # numpy's text is a kind of str
        if kind is float and isinstance(value, int):
            value = float(value)
        if type(value) is not kind:
            raise InputError(f"{field.name} is {value!r:.40}; it must be of the type {kind.__name__}")
        low, high = RANGES.get(field.name, (value, value))
        if not low <= value <= high:
            raise InputError(f"{field.name} is {value}; it must be from {low:g} to {high:g}")
        object.__setattr__(config, field.name, value)


@dataclass(frozen=True)
class ModelConfig:
    """What makes a model: the network, the motion it sees, and the diffusion.

    ``num_frames`` is the length of its motions unless ``sample`` is told otherwise. Training sees windows of
    ``min_frames`` to ``max_frames``; where these are 0, all have ``num_frames``.

    The defaults are, but for the windows, those of the preset ``tiny``, which learns on a laptop while one reads a
    page. ``MDM`` by itself defaults to the paper's sizes instead (512 wide, 8 layers), as its signature is that of the
    paper's model.

    Raises:
        InputError: a width that the heads cannot share, or an odd one; an unknown schedule.
    """

    latent_dim: int = 64
    num_layers: int = 4
    num_heads: int = 4
    ff_size: int = 256
    dropout: float = 0.0
    condition: str = "action"
    representation: str = "root_velocity"
    num_frames: int = 60
    min_frames: int = 0
    max_frames: int = 0
    num_timesteps: int = 50
    schedule: str = "linear"

    def __post_init__(self):
        make_plain(self)
        # said here and not by model and scheduler, which need nothing but torch
        if self.latent_dim % self.num_heads or self.latent_dim % 2:
            raise InputError(
                f"latent_dim is {self.latent_dim}: it must be even and a multiple of the {self.num_heads} heads"
            )
        known("schedule", self.schedule, SCHEDULES)
        shortest, longest = self.window_range
        if not 2 <= shortest <= self.num_frames <= longest:
            raise InputError(
                f"num_frames is {self.num_frames}; it must lie between the shortest and the longest window of the "
                f"training, min_frames {shortest} (2 at least) and max_frames {longest}"
            )

    @property
    def window_range(self) -> tuple[int, int]:
        """Frames of the shortest and of the longest window that training sees."""
        return self.min_frames or self.num_frames, self.max_frames or self.num_frames


@dataclass(frozen=True)
class TrainingConfig:
    """What makes a training, besides the clips and its length. Sampling has options of its own (``Sampling``)."""

    mirror: bool = True
    batch_size: int = 16
    lr: float = 3e-3
    final_lr: float = 1e-5
    warmup_steps: int = 50
    weight_decay: float = 0.01
    grad_clip: float = 1.0
    vel_weight: float = 10.0
    balance_timesteps: bool = True
    cond_mask_prob: float = 0.1
    ema_decay: float = 0.995
    seed: int = 0

    def __post_init__(self):
        make_plain(self)


@dataclass(frozen=True)
class Config(TrainingConfig, ModelConfig):
    """Both parts in one record: everything that decides what a training computes, the data and the length apart.

    Two runs with equal data, ``Config`` and length give equal weights on one machine.
    """

    def __post_init__(self):
        ModelConfig.__post_init__(self)  # which makes all fields plain

    def to_dict(self) -> dict:
        """Plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Config":
        """What ``to_dict`` gave.

        Raises:
            InputError: when a setting is missing, or one is there that this version does not know. No default is put
                in its place: it might not be what the model was made with.
        """
        names = {field.name for field in fields(cls)}
        if unknown := sorted(map(str, set(values) - names)):
            listed = ", ".join(f"{name!s:.40}" for name in unknown[:5])
            raise InputError(
                f"this version does not know these settings of the configuration: {listed}; update mdm_lib"
            )
        if missing := sorted(names - set(values)):
            raise InputError(f"the configuration lacks {', '.join(missing)}; open it with the version that wrote it")
        return cls(**values)


#: The windows of all presets: motions of every length between hold their speed.
WINDOWS = {"min_frames": 20, "max_frames": 120}
#: ``tiny`` learns in minutes on a laptop, ``small`` in an hour or two of two CPU cores; ``paper`` has the sizes (MDM,
#: section 3 and appendix: 512 wide, 8 layers, 4 heads, ff 1024) and the length of the MDM paper's HumanAct12 runs and
#: wants a GPU.
PRESETS = {
    "tiny": Config(**WINDOWS),
    "small": Config(
        **WINDOWS,
        latent_dim=192, num_layers=5, ff_size=768, batch_size=32, lr=1e-3, vel_weight=3.0, ema_decay=0.999
    ),
    "paper": Config(
        **WINDOWS,
        latent_dim=512, num_layers=8, ff_size=1024, dropout=0.1, num_timesteps=1000, schedule="cosine",
        batch_size=64, lr=1e-4, warmup_steps=500, ema_decay=0.9999, balance_timesteps=False,
    ),
}  # fmt: skip
#: How often each preset's training shows every clip.
EPOCHS = {"tiny": 80, "small": 700, "paper": 30_000}
#: How far what each preset's models make is guided, unless ``sample`` is told otherwise.
GUIDANCE_SCALES = {"tiny": 1.0, "small": 1.25, "paper": 1.0}
