"""Where and how to compute: device, precision, threads, seeds. Decided here and nowhere else."""

import contextlib
import os
import platform
from functools import lru_cache

import numpy as np
import torch
import torch.distributed as dist

from mdm_lib.errors import InputError

PRECISIONS = ("auto", "bf16", "fp32")
#: On a CPU, a network narrower than this loses more time by converting to bfloat16 and back than it saves.
WIDE_ENOUGH = 128


def pick_device(name: str | None = None) -> torch.device:
    """The device to compute on: the one named, else CUDA, else Apple's MPS, else the CPU."""
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    if torch.cuda.is_available():
        available.insert(0, "cuda")
    if name is None:
        return torch.device(available[0])
    if name.split(":")[0] not in available:
        raise InputError(f"device {name!r} is not available here; use one of: {', '.join(available)}")
    return torch.device(name)


@lru_cache
def constant(values: tuple, device: torch.device) -> torch.Tensor:
    """A small tensor of fixed numbers, made once a device: making it anew each time would wait for the GPU."""
    return torch.tensor(values, device=device)


def seed_of(*key: int) -> int:
    """A well-mixed 32-bit seed from small numbers (neighbouring raw seeds would give related streams)."""
    return int(np.random.SeedSequence(key).generate_state(1)[0])


@contextlib.contextmanager
def seeded(seed: int, device: torch.device):
    """Torch's global generators of the CPU and of ``device`` seeded inside, and afterwards as they were before.

    For what cannot be given a generator of our own: dropout, and the initial weights of a network.
    """
    module = {"cuda": torch.cuda, "mps": torch.mps}.get(device.type)
    states = torch.get_rng_state(), module and module.get_rng_state()
    torch.default_generator.manual_seed(seed)
    if module:
        module.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(states[0])
        if module:
            module.set_rng_state(states[1])


def has_fast_bfloat16(device: torch.device) -> bool:
    """True where the hardware multiplies bfloat16 faster than float32.

    On CUDA that is compute capability 8; on a CPU, AMX, or AVX512-BF16 if it is AMD's. On Intel's CPUs, AVX512-BF16
    alone is no faster than float32, and the conversions make a training step slower (docs/decisions.md).
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu" and platform.machine().lower() in ("x86_64", "amd64"):
        can = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch do not tell
        by_amd = can.get("sse4a", False)  # instructions that only AMD ever built in
        return torch.cpu._is_amx_tile_supported() or (by_amd and can.get("avx512_bf16", False))
    return False


def autocast(device: torch.device, precision: str = "auto", latent_dim: int | None = None):
    """Context for the model's forward pass: bfloat16 where it is fast ("auto"), or as told.

    Args:
        precision: ``"auto"``, ``"bf16"`` or ``"fp32"``.
        latent_dim: the network's width.
    """
    if precision_name(device, precision, latent_dim) == "bfloat16":
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def precision_name(device: torch.device, precision: str = "auto", latent_dim: int | None = None) -> str:
    """What ``autocast`` will compute in, for messages."""
    pays = device.type != "cpu" or latent_dim is None or latent_dim >= WIDE_ENOUGH
    fast = precision == "bf16" or (precision == "auto" and pays and has_fast_bfloat16(device))
    return "bfloat16" if fast else "float32"


@contextlib.contextmanager
def process_group(device: torch.device):
    """Join the other processes when started by ``torchrun``; yields this process's device."""
    if not dist.is_torchelastic_launched():
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
        dist.barrier()  # a process that left first would break the connection of the others
    except SystemExit:  # stopped by Ctrl-C: all have agreed on it
        dist.barrier()
        raise
    finally:
        dist.destroy_process_group()


def is_first_process() -> bool:
    """True in a program of one process, and in the first of several."""
    return not dist.is_initialized() or dist.get_rank() == 0


def set_threads(count: int | None = None) -> None:
    """Set the number of CPU threads: as told, else as OMP_NUM_THREADS says, else one a core (shared under torchrun)."""
    if count is None and "OMP_NUM_THREADS" in os.environ and "LOCAL_WORLD_SIZE" not in os.environ:
        count = int(os.environ["OMP_NUM_THREADS"])  # torchrun sets it to 1 unasked, hence the second condition
    elif count is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        count = max(1, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    torch.set_num_threads(count)
