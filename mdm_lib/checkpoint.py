"""A checkpoint: one file that holds everything that sampling, showing and resuming need."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import torch

from mdm_lib.conditions import Vocabulary, vocabulary_of
from mdm_lib.config import Config, ModelConfig
from mdm_lib.errors import InputError, printable
from mdm_lib.features.joints import REPRESENTATIONS, Representation
from mdm_lib.files import asset_path, write_atomically
from mdm_lib.model import MDM
from mdm_lib.motion.geometry import FPS
from mdm_lib.motion.skeleton import SMPL22, Skeleton
from mdm_lib.reading import read_weights, reading, shown
from mdm_lib.runtime import check_defaults, pick_device, seeded
from mdm_lib.scheduler import NoiseScheduler
from mdm_lib.words import find_action, known, plain_number

#: Raised with every change of what a file holds; ``_migrated`` brings older files up to it.
FORMAT = 3
KEYS = {
    "config", "condition", "guidance_scale", "skeleton", "fps", "source", "normaliser", "model", "training", "checksum",
}  # fmt: skip


@dataclass(frozen=True)
class Checkpoint:
    """A model with all that is needed to sample from it.

    Args:
        config: the recipe it was made by.
        vocabulary: what the model can be told; see ``mdm_lib.conditions``.
        representation: joints ↔ features, with its fitted normaliser.
        model: the denoiser, with the averaged (EMA) weights.
        source: the data it was trained on, in a few words.
        training: what resuming needs (see ``mdm_lib.training.Trainer``); ``None`` in a model made to be shared.
        skeleton, fps: of the motion it makes.
        guidance_scale: how far it is guided unless ``sample`` is told otherwise; what its makers measured best.
    """

    config: Config
    vocabulary: Vocabulary
    representation: Representation
    model: MDM
    source: str
    training: dict | None = None
    skeleton: Skeleton = SMPL22
    fps: float = FPS
    guidance_scale: float = 1.0

    @property
    def scheduler(self) -> NoiseScheduler:
        """The noise scheduler the model was trained with, on the model's device."""
        scheduler = NoiseScheduler(self.config.num_timesteps, self.config.schedule)
        return scheduler.to(self.representation.mean.device)

    def resumable(self) -> dict:
        """``training``; an ``InputError`` where there is none."""
        if self.training is None:
            raise InputError("this checkpoint was made to be shared and cannot be resumed; train anew")
        return self.training

    @property
    def label_names(self) -> tuple[str, ...]:
        """The actions, in the order of their ids."""
        return self.vocabulary.names

    def action_id(self, action: str | int) -> int:
        """The id of an action given by name or number."""
        return find_action(self.label_names, action)

    def to(self, device) -> "Checkpoint":
        """Move model and normaliser (in place, as in torch)."""
        device = pick_device(device)
        self.model.to(device)
        self.representation.to(device)
        return self

    def save(self, path: str | Path) -> Path:
        """Write it to one file, atomically."""
        return self._write(path, self.model.state_dict(), self.training)

    def share(self, path: str | Path) -> Path:
        """Write it to one small file that can be sampled from, not resumed: weights in half precision."""
        weights = {name: weight.half() for name, weight in self.model.state_dict().items()}
        return self._write(path, weights, training=None)

    def _write(self, path: str | Path, weights: dict, training: dict | None) -> Path:
        content = io.BytesIO()
        torch.save(
            {
                "format": FORMAT,
                "config": self.config.to_dict(),
                "condition": self.vocabulary.to_plain(),
                "guidance_scale": self.guidance_scale,
                "skeleton": self.skeleton.to_plain(),
                "fps": self.fps,
                "source": self.source,
                "normaliser": self.representation.state_dict(),
                "model": weights,
                "training": training,
                "checksum": _checksum(weights, self.representation.state_dict()),
            },
            content,
        )
        return write_atomically(path, content.getbuffer())


def build(config: ModelConfig, vocabulary: Vocabulary, skeleton: Skeleton = SMPL22) -> tuple[Representation, MDM]:
    """An untrained model and its representation, of the sizes that ``config`` names."""
    check_defaults()
    representation = REPRESENTATIONS[known("representation", config.representation, REPRESENTATIONS)](skeleton)
    model = MDM(
        0, skeleton.num_joints, config.latent_dim, config.num_layers, config.num_heads, config.ff_size, config.dropout,
        num_features=representation.num_features, condition=vocabulary.condition(config.latent_dim),
    )  # fmt: skip
    return representation, model


def load_checkpoint(path: str | Path, device: str | torch.device = "cpu") -> Checkpoint:
    """Read a checkpoint; code inside the file is never run.

    Raises:
        InputError: no such file, a damaged one, one of another program or of a newer version; no such device.
    """
    path, device = Path(path), pick_device(device)
    content = _read(path, device)
    if not isinstance(content, dict) or "format" not in content:
        raise InputError(f"{path} is not a checkpoint of mdm_lib; give a file that `mdm_lib train` wrote")
    if type(content["format"]) is not int or not 1 <= content["format"] <= FORMAT:
        raise InputError(
            f"{path} has format {shown(content['format'])}, this version reads 1 to {FORMAT}; update mdm_lib to open it"
        )
    with reading(path, "a whole checkpoint", "train or copy it anew"):
        _refuse_claims([content.get("model", {}), content.get("normaliser", {})], path)
        content = _migrated(content, path)
        if missing := sorted(KEYS - set(content)):
            raise InputError(f"{path} lacks {', '.join(missing)}; it is not a whole checkpoint, train or copy it anew")
        return _assembled(content, path).to(device)


def _assembled(content: dict, path: Path) -> Checkpoint:
    """The checkpoint whose parts ``content`` has; nothing large is made before its size is known to be right."""
    config, skeleton = Config.from_dict(content["config"]), Skeleton.from_plain(content["skeleton"])
    if content["checksum"] != _checksum(content["model"], content["normaliser"]):
        raise InputError(f"{path} is damaged: its weights are not those that were saved; copy it again")
    weights = sum(weight.numel() for weight in content["model"].values())
    declared = config.num_layers * config.latent_dim * (config.latent_dim + config.ff_size)
    if not 0 < declared <= weights:
        raise InputError(f"{path}: the weights do not fit the sizes it names; train or copy it anew")
    vocabulary = vocabulary_of(config.condition).from_plain(content["condition"])
    with seeded(0, torch.device("cpu")):  # weights are drawn, and overwritten at once
        representation, model = build(config, vocabulary, skeleton)
    try:
        representation.load_state_dict(content["normaliser"])
        model.load_state_dict(content["model"])
    except RuntimeError as error:
        raise InputError(f"{path}: the weights do not fit the sizes it names; train or copy it anew") from error
    numbers = {name: plain_number(name, content[name]) for name in ("fps", "guidance_scale")}
    if not isinstance(content["source"], str) or not isinstance(content["training"], dict | None):
        raise InputError(f"{path}: its source must be text and its training a record; train or copy it anew")
    return Checkpoint(
        config, vocabulary, representation, model.eval(), printable(content["source"]), content["training"], skeleton,
        **numbers,
    )  # fmt: skip


def _refuse_claims(states: list[dict], path: Path) -> None:
    """A view of one stored number may claim to be billions: refuse weights that are larger than their file."""
    claimed = sum(value.numel() * value.element_size() for state in states for value in state.values())
    if claimed > path.stat().st_size:
        raise InputError(f"{path}: its weights claim {claimed:,} bytes, more than the file has; train or copy it anew")


def _checksum(*states: dict) -> str:
    """Of all numbers in some state dicts, by which a flipped bit is noticed."""
    digest = hashlib.sha256()
    for state in states:
        for name, value in sorted(state.items()):
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()


#: What format 1 called by another name or kept in another place.
SETTINGS_OF_FORMAT_1 = {"like_weights": "balance_timesteps"}
WEIGHTS_OF_FORMAT_1 = {"action_token.weight": "condition.table.weight"}


def _migrated(content: dict, path: Path) -> dict:
    """What a file of an older format holds, as this format has it.

    In format 1 all models were told actions, a budget and the guidance scale stood among the settings, and the average
    of the losses was two tensors without names. Before format 3 all windows of a training had one length.
    """
    if content["format"] == 1:
        content = _migrated_from_1(content, path)
    if content["format"] < 3:
        content = {**content, "config": {"min_frames": 0, "max_frames": 0, **content["config"]}}
    return {**content, "format": FORMAT}


def _migrated_from_1(content: dict, path: Path) -> dict:
    asked = {"config", "label_names", "skeleton", "fps", "source", "normaliser", "model", "training"}
    settings = content["config"] if isinstance(content.get("config"), dict) else {}
    missing = sorted(asked - set(content)) or sorted({"epochs", "guidance_scale"} - set(settings))
    if missing:
        raise InputError(f"{path} lacks {', '.join(missing)}; it is not a whole checkpoint, train or copy it anew")
    config = {SETTINGS_OF_FORMAT_1.get(name, name): value for name, value in content["config"].items()}
    del config["epochs"]
    training = content["training"]
    if training is not None:
        training = {**training, "weights": _renamed(training["weights"])}
        training["loss_average"] = dict(zip(("mean", "seen"), training.pop("usual"), strict=True))
    return {
        **content,
        "guidance_scale": config.pop("guidance_scale"),
        "config": {"condition": "action", **config},
        "condition": content["label_names"],
        "model": (weights := _renamed(content["model"])),
        "training": training,
        "checksum": _checksum(weights, content["normaliser"]),  # that format had none
    }


def _renamed(weights: dict) -> dict:
    return {WEIGHTS_OF_FORMAT_1.get(name, name): value for name, value in weights.items()}


def saved_step(path: Path) -> int:
    """The step at which a checkpoint was saved, without reading its weights; -1 where nothing can be resumed."""
    content = _read(path, "cpu", mmap=True)
    training = content.get("training") if isinstance(content, dict) else None
    return training["step"] if training else -1


def _read(path: Path, device: str | torch.device, mmap: bool = False):
    if not path.is_file():
        own = {f"assets/{file.name}": file for file in asset_path("synthetic.pth").parent.glob("*.pth")}
        hint = f"; the course's own is {own[path.as_posix()]}" if path.as_posix() in own else ", or check the path"
        raise InputError(f"no checkpoint at {path}; train one with `python -m mdm_lib train`{hint}")
    with reading(path, "a checkpoint", "copy it again, or use an older one"):
        return read_weights(path, device, mmap)
