"""What the course needs on this machine, what is missing, and how to fix it: ``python -m mdm_lib doctor``."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

import click
import torch

from mdm_lib import runtime
from mdm_lib.checkpoint import load_checkpoint
from mdm_lib.data import load_humanact12
from mdm_lib.errors import InputError
from mdm_lib.files import asset_path
from mdm_lib.sampling import generate

#: Names of the Chromium program on different systems.
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
#: Whether this is the course with its notebooks, not only the package installed from a wheel.
IN_CHECKOUT = (Path(__file__).parents[2] / "pyproject.toml").is_file()
#: Where ``download humanact12`` puts the real motion.
HUMANACT12_FOLDER = Path("data/humanact12")


class Finding(NamedTuple):
    """One line of the report. ``state`` is ``"ok"``, ``"missing"`` (something optional) or ``"problem"``."""

    name: str
    state: str
    found: str
    advice: str = ""

    def __str__(self) -> str:
        mark = {"ok": "✔", "missing": "○", "problem": "✗"}[self.state]
        line = f"{mark} {self.name:<12} {self.found}"
        return f"{line}\n  {'':<12} → {self.advice}" if self.advice else line


def examine() -> Iterator[Finding]:
    """Run the checks one after the other; one that fails itself is reported as a problem."""
    checks: list[Callable[[], Iterator[Finding]]] = [
        _python, _packages, _kernel, _computing, _models, _real_motion, _chromium, _place,
    ]  # fmt: skip
    for check in checks:
        try:
            yield from check()
        except Exception as error:  # whatever is broken here, the other checks may explain it
            yield Finding(check.__name__.strip("_"), "problem", f"{type(error).__name__}: {error}")


def _python() -> Iterator[Finding]:
    system = f"{platform.system()} {platform.machine()}"
    yield Finding("python", "ok", f"{platform.python_version()} on {system}, {sys.executable}")


def _packages() -> Iterator[Finding]:
    """Every package that pyproject.toml names, one line per extra."""
    from packaging.requirements import Requirement  # installed with matplotlib

    try:
        named = [Requirement(line) for line in requires("mdm_lib") or []]
    except PackageNotFoundError:
        found = "this Python finds mdm_lib's folder, but the package is not installed"
        yield Finding("packages", "problem", found, "pip install -c constraints.txt -e '.[course]'")
        return
    shown = {"mdm_lib"}  # an extra includes those before it; report each package once
    for extra, use in {"": "the package", "data": "data loaders", "course": "notebooks", "test": "tests"}.items():
        of_extra = [r for r in named if r.name not in shown and (not r.marker or r.marker.evaluate({"extra": extra}))]
        shown |= {requirement.name for requirement in of_extra}
        wrong = list(filter(None, map(_complaint, of_extra)))
        needed = ("", "course") if IN_CHECKOUT else ("",)
        state = "ok" if not wrong else "problem" if extra in needed else "missing"
        advice = _install(extra, [requirement.name for requirement in of_extra]) if wrong else ""
        there = ", ".join(f"{requirement.name} {version(requirement.name)}" for requirement in of_extra if not wrong)
        yield Finding(use, state, "; ".join(wrong) or there, advice)


def _install(extra: str, names: list[str]) -> str:
    """The command that installs what an extra lacks."""
    return (
        f"pip install -c constraints.txt -e '.[{extra or 'course'}]'"
        if IN_CHECKOUT
        else f"pip install {' '.join(names)}"
    )


def _complaint(requirement) -> str | None:
    """What is wrong with the installed version of a package, if anything."""
    try:
        installed = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is missing"
    fits = requirement.specifier.contains(installed, prereleases=True)
    return None if fits else f"{requirement.name} is {installed}, but {requirement.specifier} is needed"


def _kernel() -> Iterator[Finding]:
    """Does the notebooks' kernel run *this* Python? A kernel installed by hand may run another."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    except ModuleNotFoundError:
        return  # reported by _packages
    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        yield Finding("kernel", "problem", "Jupyter has no kernel python3", "pip install ipykernel")
        return
    same = Path(command).name == command or Path(command).resolve() == Path(sys.executable).resolve()
    advice = "" if same else f"{sys.executable} -m ipykernel install --user --name python3"
    yield Finding("kernel", "ok" if same else "problem", f"python3 runs {'this Python' if same else command}", advice)


def _computing() -> Iterator[Finding]:
    device = runtime.pick_device()
    name = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    lacks = "" if device.type != "cpu" else "; no CUDA, no MPS: every chapter runs, chapter 07 in its short version"
    yield Finding("device", "ok", f"{device}{name}, {runtime.precision_name(device)}{lacks}")
    runtime.set_threads()
    threads, cores = torch.get_num_threads(), os.cpu_count()
    asked = os.environ.get("OMP_NUM_THREADS")
    yield Finding(
        "threads", "ok", f"{threads} of {cores} cores" + (f", set by OMP_NUM_THREADS={asked}" if asked else "")
    )


def _models() -> Iterator[Finding]:
    """Do both models load and generate a motion?"""
    for name in ("synthetic.pth", "real_motion.pth"):
        try:
            path = asset_path(name)
            checkpoint = load_checkpoint(path)
            motion = generate(checkpoint, 0, num_steps=2)
        except InputError as error:
            yield Finding("model", "problem", str(error), "download the course again, or run `git checkout -- assets`")
        else:
            finite = bool(motion.isfinite().all())
            size = f"{path.stat().st_size / 1e6:.1f} MB, {len(checkpoint.label_names)} actions"
            yield Finding(
                "model", "ok" if finite else "problem", f"{name}: {size}" + ("" if finite else "; it generates NaN")
            )


def _real_motion() -> Iterator[Finding]:
    try:
        clips = load_humanact12(HUMANACT12_FOLDER)
    except InputError as error:
        if not any(HUMANACT12_FOLDER.rglob("*.pkl")):
            found = "HumanAct12Poses is not here; the embedded clips always work"
            yield Finding("real motion", "missing", found, "for chapter 07: python -m mdm_lib download humanact12")
        else:
            yield Finding("real motion", "problem", str(error))
    else:
        yield Finding("real motion", "ok", f"{clips.source}: {len(clips)} clips in {HUMANACT12_FOLDER}")


def find_chromium() -> str | None:
    """The Chromium that the browser tests drive, or ``None``."""
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def _chromium() -> Iterator[Finding]:
    path = find_chromium()
    advice = (
        "" if path else "only the browser tests need it: apt install chromium, or python -m playwright install chromium"
    )
    yield Finding("chromium", "ok" if path else "missing", path or "not on the PATH", advice)


def _place() -> Iterator[Finding]:
    """Is this folder writable, and is there enough space?"""
    here = Path.cwd()
    try:
        with tempfile.TemporaryFile(dir=here):
            free = shutil.disk_usage(here).free / 1e9
    except OSError as error:
        yield Finding("folder", "problem", f"{here}: {error.strerror}", "change to a folder of your own, or use --out")
        return
    room = "" if free > 1 else "training writes about 100 MB; free some space or use --out with another disk"
    yield Finding("folder", "ok" if free > 1 else "problem", f"{here}, {free:.0f} GB free", room)


@click.command()
def doctor():
    """Report what the course needs on this machine, what is missing, and how to fix it."""
    problems = 0
    for finding in examine():
        click.echo(str(finding))
        problems += finding.state == "problem"
    click.echo(f"\n{problems} to fix: see the arrows." if problems else "\nNo problems. ○ is optional.")
    sys.exit(1 if problems else 0)
