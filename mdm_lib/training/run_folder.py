"""A training run that lives in a folder: log, checkpoints, resuming, stopping without loss."""

import contextlib
import csv
import io
import math
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock, Timeout

from mdm_lib.checkpoint import Checkpoint, load_checkpoint, saved_step
from mdm_lib.config import Config
from mdm_lib.errors import InputError
from mdm_lib.files import write_atomically
from mdm_lib.motion.clips import MotionClips
from mdm_lib.runtime import is_first_process
from mdm_lib.training.trainer import NonFiniteLoss, Trainer, agreed, train
from mdm_lib.words import plain_whole

LOG_COLUMNS = ("step", "epoch", "loss", "mse", "vel", "lr")
LATEST_EVERY_SECONDS = 300


class Event(NamedTuple):
    """What just happened in a run: ``"step"``, ``"log"`` (``row``), ``"checkpoint"`` or ``"stopped"`` (``path``)."""

    kind: str
    trainer: Trainer
    row: dict | None = None
    path: Path | None = None


class RunFolder:
    """The files of one run: ``log.csv``, ``mdm_epochN.pth``, ``mdm_latest.pth`` and at the end ``mdm_final.pth``."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.log = self.path / "log.csv"

    def newest_checkpoint(self) -> Path | None:
        """The readable checkpoint that got furthest, or ``None``; a damaged one is passed over if there is another."""
        steps, damaged = {}, None
        for path in sorted(self.path.glob("mdm_*.pth")):
            try:
                steps[path] = saved_step(path)
            except InputError as error:
                damaged = error
        if not steps and damaged:
            raise damaged
        return max(steps, key=steps.get, default=None)

    def refuse_if_used(self) -> None:
        """Raise ``InputError`` where a checkpoint already stands."""
        if any(self.path.glob("mdm_*.pth")):
            raise InputError(
                f"{self.path} already holds a training run; add --resume to go on with it, or give another --out"
            )

    def cut_log(self, step: int) -> None:
        """Keep the log's rows up to ``step``: what a run did after its last checkpoint will be done again."""
        rows = []
        if self.log.exists() and not self.log.is_file():
            raise InputError(f"{self.log} is no plain file; move it away, or give another --out")
        if self.log.exists() and step > 0:
            # a killed run may have left half a line, without all columns or its number's end; or somebody edited it
            text = self.log.read_text(encoding="utf-8", errors="replace").replace("\0", "")
            rows = [r for r in csv.reader(io.StringIO(text)) if len(r) == len(LOG_COLUMNS) and r[0].isdecimal()]
            rows = [r for r in rows if int(r[0]) <= step]
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([LOG_COLUMNS, *rows])
        write_atomically(self.log, text.getvalue().encode())

    def append_log(self, row: dict) -> None:
        """Add one row, numbers to nine significant digits."""
        try:
            with open(self.log, "a", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerow(
                    [f"{row[c]:.9g}" if isinstance(row[c], float) else row[c] for c in LOG_COLUMNS]
                )
        except OSError as error:
            raise InputError(
                f"cannot write {self.log}: {error.strerror}; checkpoints up to now are untouched. Free some space, "
                "then go on with --resume"
            ) from error

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder: two runs in one would mix their logs and checkpoints. A killed run holds it no longer.

        What killed runs left half written is cleared away.
        """
        lock = FileLock(self.path / ".lock", timeout=0)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise InputError(f"another training is writing into {self.path}; wait, or give another --out") from None
        except OSError as error:
            raise InputError(f"cannot use {self.path}: {error.strerror}; give another --out") from error
        try:
            for left in self.path.glob(".*.part"):
                left.unlink(missing_ok=True)
            yield
        finally:
            lock.release()

    def save(self, trainer: Trainer, name: str) -> Path:
        """Save a checkpoint, unless the weights have gone bad."""
        if not all(weight.isfinite().all() for weight in trainer.model.parameters()):
            raise NonFiniteLoss(
                f"the weights are not numbers any more at step {trainer.step} (learning rate {trainer.lr:.2g})"
            )
        return trainer.checkpoint().save(self.path / name)


def run_training(
    clips: MotionClips, config: Config, out: str | Path, *, resume: Checkpoint | None = None,
    log_every: int = 100, save_every: int | None = None, **options,
) -> Iterator[Event]:  # fmt: skip
    """Train into a folder, yielding an ``Event`` for every step, log row and checkpoint.

    Ctrl-C ends it between two steps and saves ``mdm_latest.pth``, as does every fifth minute.

    Args:
        resume: the checkpoint to go on from, see ``resume_point``.
        log_every, save_every: in steps; ``save_every=None`` is a sixth of the run.
        options: budget, device and precision, see ``mdm_lib.training.train``.
    """
    log_every = plain_whole("log_every", log_every, 1)
    save_every = None if save_every is None else plain_whole("save_every", save_every, 1)
    folder, trainer, last_saved = RunFolder(out), None, time.monotonic()
    begin = resume.resumable()["step"] if resume else 0
    held = folder.held() if is_first_process() else contextlib.nullcontext()
    with held, _interrupt_flag() as interrupted, _naming_the_last_good_checkpoint(folder):
        for trainer in train(clips, config, resume=resume, **options):
            writes, finished = trainer.rank == 0, trainer.step == trainer.total_steps
            if trainer.step == begin + 1 and writes:
                folder.cut_log(begin)
            yield Event("step", trainer)
            logs = trainer.step % log_every == 0 or finished
            if logs:
                row = {"step": trainer.step, "epoch": trainer.epoch, **trainer.losses(), "lr": trainer.lr}
                if writes:
                    folder.append_log(row)
                yield Event("log", trainer, row=row)
            interval = save_every or (trainer.total_steps and math.ceil(trainer.total_steps / 6))
            if writes and not finished and interval and trainer.step % interval == 0:
                yield Event("checkpoint", trainer, path=folder.save(trainer, f"mdm_epoch{trainer.epoch}.pth"))
                last_saved = time.monotonic()
            elif writes and time.monotonic() - last_saved > LATEST_EVERY_SECONDS:
                folder.save(trainer, "mdm_latest.pth")
                last_saved = time.monotonic()
            # several processes must stop at one step, and they meet only when they log
            if (logs or trainer.world_size == 1) and not finished and agreed(interrupted.is_set()):
                if writes:
                    yield Event("stopped", trainer, path=folder.save(trainer, "mdm_latest.pth"))
                return
        if trainer is not None and trainer.rank == 0:
            path = folder.save(trainer, "mdm_final.pth")
            (folder.path / "mdm_latest.pth").unlink(missing_ok=True)
            yield Event("checkpoint", trainer, path=path)


@contextlib.contextmanager
def _naming_the_last_good_checkpoint(folder: RunFolder) -> Iterator[None]:
    """Let the error of a run that went bad say what is left of it."""
    try:
        yield
    except NonFiniteLoss as error:
        good = folder.newest_checkpoint()
        kept = f"the last good checkpoint is {good}" if good else "no checkpoint had been saved yet"
        raise InputError(f"{error}; {kept}. Train anew with a smaller --lr, or look for odd clips") from error


def resume_point(out: str | Path, asked: dict, device: torch.device | None = None) -> Checkpoint | None:
    """The checkpoint to go on from in a folder, or ``None`` where a run was stopped before its first.

    Args:
        asked: the settings of ``Config``, and ``guidance_scale``, that the user named; they must be those of the run.
    """
    newest = RunFolder(out).newest_checkpoint()
    if newest is None:
        return None
    checkpoint = load_checkpoint(newest, device or "cpu")
    ours = {**checkpoint.config.to_dict(), "guidance_scale": checkpoint.guidance_scale}
    for name, value in asked.items():
        if ours[name] != value:
            raise InputError(
                f"{newest} was trained with {name} {ours[name]}, not {value}; leave that setting out to resume, "
                "or train into another --out"
            )
    return checkpoint


#: What asks a training to stop: Ctrl-C, a scheduler's or a system's request to end, a closed terminal.
STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextlib.contextmanager
def _interrupt_flag() -> Iterator[threading.Event]:
    """An event that the ``STOP_SIGNALS`` set, so that no step is broken off; the same signal again breaks it off."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def note(signum, frame):
        flag.set()
        signal.signal(signum, signal.default_int_handler if signum == signal.SIGINT else signal.SIG_DFL)

    before = {signum: signal.signal(signum, note) for signum in STOP_SIGNALS}
    try:
        yield flag
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
