"""The recipe of a model and of its training, as one frozen record that every checkpoint carries."""

from dataclasses import asdict, dataclass, fields

from mdm_lib.errors import InputError


@dataclass(frozen=True)
class Config:
    """Everything that decides what a training run computes, the data apart.

    Two runs with equal data, ``Config`` and length give equal weights on one machine.

    Raises:
        InputError: a width that the heads cannot share, or an odd one.
    """

    # the denoiser (MDM, section 3 and appendix: 512 wide, 8 layers, 4 heads, ff 1024)
    latent_dim: int = 64
    num_layers: int = 4
    num_heads: int = 4
    ff_size: int = 256
    dropout: float = 0.0
    # the motion it sees
    representation: str = "root_velocity"
    condition: str = "action"
    num_frames: int = 60
    mirror: bool = True
    # the diffusion
    num_timesteps: int = 50
    schedule: str = "linear"
    # the training
    batch_size: int = 16
    lr: float = 3e-3
    final_lr: float = 1e-5
    warmup_steps: int = 50
    weight_decay: float = 0.01
    grad_clip: float = 1.0
    vel_weight: float = 10.0
    like_weights: bool = True
    cond_mask_prob: float = 0.1
    ema_decay: float = 0.995
    epochs: int = 80
    seed: int = 0
    # the sampling: what the makers of a checkpoint measured best; it changes nothing in the training
    guidance_scale: float = 1.0

    def __post_init__(self):
        # said here and not by the model, which needs nothing but torch
        if self.latent_dim % self.num_heads or self.latent_dim % 2:
            raise InputError(
                f"latent_dim is {self.latent_dim}: it must be even and a multiple of the {self.num_heads} heads"
            )

    def to_dict(self) -> dict:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> "Config":
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise InputError(
                f"the configuration has settings this version does not know: {', '.join(unknown)}; update mdm_lib"
            )
        return cls(**values)


#: ``tiny`` learns on a laptop while one reads a page, ``small`` in an hour or two of two CPU
#: cores; ``paper`` has the sizes and the length of the MDM paper's HumanAct12 runs and wants a GPU.
PRESETS = {
    "tiny": Config(),
    "small": Config(
        latent_dim=192, num_layers=5, ff_size=768, batch_size=32, lr=1e-3, vel_weight=3.0, ema_decay=0.999, epochs=700,
        guidance_scale=1.25,
    ),
    "paper": Config(
        latent_dim=512, num_layers=8, ff_size=1024, dropout=0.1, num_timesteps=1000,
        batch_size=64, lr=1e-4, warmup_steps=500, ema_decay=0.9999, epochs=30_000,
        schedule="cosine", like_weights=False,
    ),
}  # fmt: skip
