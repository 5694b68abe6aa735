"""What the notebooks share: the set-up call, the short version, and noise that stays the same."""

import os
import platform

import torch

from mdm_lib.runtime import pick_device, set_threads

#: CI and impatient readers set MDM_FAST=1: long notebook cells then run a shortened version.
FAST = os.environ.get("MDM_FAST", "") not in ("", "0")


def fixed_noise(x: torch.Tensor) -> torch.Tensor:
    """The same standard normal numbers each time, like ``x``: only what a reader changes changes the picture."""
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).to(x.device)


def start_notebook(seed: int = 0) -> None:
    """The set-up call of every chapter: one thread, fixed seed, the plots' style, and a line that says what runs here.

    One thread, because a notebook's toy networks gain nothing from two, and because
    idle threads of one process slow down every other process of a busy laptop.
    """
    import matplotlib.pyplot as plt  # here, because `import mdm_lib` must stay light

    set_threads(1)
    torch.manual_seed(seed)
    plt.style.use("mdm_lib.visualise.course")
    device = pick_device()
    mode = "short version (MDM_FAST=1)" if FAST else "full version"
    print(f"python {platform.python_version()}, torch {torch.__version__}, device {device}, {mode}")
