"""Where and how to compute: device, precision, threads, seeds. Decided here and nowhere else."""

import contextlib
import os
import platform
import re
from functools import lru_cache

import numpy as np
import torch
import torch.distributed as dist
from torch.nn.attention import SDPBackend, sdpa_kernel

from mdm_lib.errors import InputError

PRECISIONS = ("auto", "bf16", "fp32")
#: On a CPU, a network narrower than this loses more time by converting to bfloat16 and back than it saves.
WIDE_ENOUGH = 128


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device to compute on: the one named, else CUDA, else Apple's MPS, else the CPU.

    Raises:
        InputError: a device that this machine does not have; the message lists those that it has.
    """
    available = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    available += ["mps"] if torch.backends.mps.is_available() else []
    available += ["cpu"]
    if name is None:
        return torch.device(available[0].split(":")[0])
    asked = str(name)
    if asked not in (*available, *(f"{each}:0" for each in available), *(each.split(":")[0] for each in available)):
        raise InputError(f"device {asked[:40]!r} is not available here; use one of: {', '.join(available)}")
    return torch.device("cpu" if asked == "cpu:0" else asked)  # torch.load does not know the first name


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


def check_defaults() -> None:
    """Refuse what would quietly make other tensors than the package's: another default type or device of torch's.

    Raises:
        InputError: the message says how to set it back.
    """
    if torch.get_default_dtype() != torch.float32:
        raise InputError(
            f"torch's default type is {torch.get_default_dtype()}; the course computes in float32: set it back with "
            "torch.set_default_dtype(torch.float32)"
        )
    if torch.get_default_device().type != "cpu":
        raise InputError(
            f"torch's default device is {torch.get_default_device()}; set it back with torch.set_default_device('cpu') "
            "and pass device=… instead"
        )


@contextlib.contextmanager
def learning():
    """Gradients inside, even where the caller turned them off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


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


@contextlib.contextmanager
def autocast(device: torch.device, precision: str = "auto", latent_dim: int | None = None):
    """Context for the model's forward pass: bfloat16 where it is fast ("auto"), or as told.

    Args:
        precision: ``"auto"``, ``"bf16"`` or ``"fp32"``.
        latent_dim: the network's width.
    """
    if precision_name(device, precision, latent_dim) != "bfloat16":
        yield
        return
    # on a CPU, the way back through torch's fused attention takes six times as long in bfloat16 as through plain
    # products (torch 2.13, AVX512-BF16; docs/experiments.md)
    unfused = device.type == "cpu" and torch.is_grad_enabled()
    with (
        torch.autocast(device.type, torch.bfloat16),
        sdpa_kernel(SDPBackend.MATH) if unfused else contextlib.nullcontext(),
    ):
        yield


def precision_name(device: torch.device, precision: str = "auto", latent_dim: int | None = None) -> str:
    """What ``autocast`` will compute in, for messages."""
    pays = device.type != "cpu" or latent_dim is None or latent_dim >= WIDE_ENOUGH
    fast = precision == "bf16" or (precision == "auto" and pays and has_fast_bfloat16(device))
    return "bfloat16" if fast else "float32"


@contextlib.contextmanager
def process_group(device: torch.device):
    """Join the other processes when started by ``torchrun``; yields this process's device.

    Raises:
        InputError: when it cannot join them, for instance because the port is in use.
    """
    if not dist.is_torchelastic_launched():
        yield device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except RuntimeError as error:  # DistError is one; torch 2.6 raises the bare kind
        place = f"{os.environ.get('MASTER_ADDR')}, port {os.environ.get('MASTER_PORT')}"
        raise InputError(
            f"cannot join the other processes at {place}: {str(error).splitlines()[0][:200]}; start them by "
            "torchrun --standalone, which finds a free port"
        ) from error
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
    if count is None and "LOCAL_WORLD_SIZE" not in os.environ:  # torchrun sets OMP_NUM_THREADS to 1 unasked
        count = _count_in_environment("OMP_NUM_THREADS")
    if count is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        count = max(1, cores // (_count_in_environment("LOCAL_WORLD_SIZE") or 1))
    torch.set_num_threads(count)


def _count_in_environment(variable: str) -> int | None:
    """The number that an environment variable holds, the first of a list; ``None`` where it is not set."""
    text = os.environ.get(variable, "").split(",")[0].strip()
    if not text:
        return None
    if not re.fullmatch("[0-9]{1,4}", text) or int(text) == 0:
        raise InputError(f"the environment variable {variable} is {text[:20]!r}; set it to 1 or more, or unset it")
    return int(text)
