"""What every benchmark says of itself: the machine, the versions, the date; and a fair way to time."""

import datetime
import platform
import statistics
import time
from collections.abc import Callable

import torch

from mdm_lib import runtime


def describe() -> str:
    """One line on machine and versions."""
    device = runtime.pick_device()
    model = "CPU"
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.processor() or platform.machine()
    return (
        f"{datetime.date.today()}, {model}, {torch.get_num_threads()} threads, device {device} "
        f"({runtime.precision_name(device)}), Python {platform.python_version()}, torch {torch.__version__}"
    )


def side_by_side(ours: Callable, plain: Callable, runs: int = 5) -> tuple[float, float]:
    """Median seconds of both, measured in turns, so that a busy moment of the machine hits both."""
    times = {ours: [], plain: []}
    for function in times:
        function()  # warm-up
    for _ in range(runs):
        for function, seconds in times.items():
            begun = time.perf_counter()
            function()
            seconds.append(time.perf_counter() - begun)
    return statistics.median(times[ours]), statistics.median(times[plain])
