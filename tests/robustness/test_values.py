"""Values that people give by mistake, and what they set in torch before: a line that names it, or it works."""

import os
import socket
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from mdm_lib import PRESETS, InputError, asset_path, generate, load_checkpoint, load_clips, runtime, train
from mdm_lib.commands.cli import main
from mdm_lib.evaluation import judge_for
from mdm_lib.evaluation.recogniser import train_recogniser
from mdm_lib.sampling import Sampling
from mdm_lib.training import Trainer
from mdm_lib.training.run_folder import run_training

MODEL = asset_path("synthetic.pth")
SMALL = replace(PRESETS["tiny"], latent_dim=16, num_layers=1, num_heads=2, ff_size=32, num_timesteps=20)
SAMPLE = ["sample", "--checkpoint", str(MODEL), "--action", "jump"]
TRAIN = ["train", "--data", "synthetic:24"]
EVALUATE = ["evaluate", "--checkpoint", str(MODEL), "--data", "synthetic:24"]
REFUSED = [
    (SAMPLE, "--seed", ["-1", "99999999999999999999", "²", "1.5", ""]),
    (SAMPLE, "--steps", ["-1", "0", "51", "99999999999", "²"]),
    (SAMPLE, "--eta", ["-1", "1.1", "nan", "inf"]),
    (SAMPLE, "--guidance", ["-1", "nan", "inf", "-inf", "1e30", "1e308"]),
    (SAMPLE, "--frames", ["-1", "0", "1", "99999999999"]),
    (SAMPLE, "--num-samples", ["0", "-1", "²"]),
    (SAMPLE, "--device", ["", "gpu", "cuda:99", "cpu:7", "cpu:x", "meta", "\x1b[31m"]),
    (SAMPLE, "--precision", ["fp16", ""]),
    (SAMPLE, "--output-path", [".", "/proc/x.npy", "a.json"]),
    (SAMPLE[:3], "--action", ["", "²", "-1", "99", "9" * 5000, "--5", "\x1b[31m"]),
    (TRAIN, "--lr", ["0", "-1", "nan", "inf", "1e300"]),
    (TRAIN, "--vel-weight", ["-1", "nan", "inf"]),
    (TRAIN, "--guidance", ["-1", "nan", "inf", "1e30"]),
    (TRAIN, "--dropout", ["1", "-1", "nan"]),
    (TRAIN, "--minutes", ["0", "-1", "nan", "inf", "1e300"]),
    (TRAIN, "--epochs", ["0", "-1", "²"]),
    (TRAIN, "--steps", ["0", "-1", "²"]),
    (TRAIN, "--seed", ["-1", "99999999999999999999"]),
    (TRAIN, "--batch-size", ["0", "-1", "100000000000"]),
    (TRAIN, "--latent-dim", ["0", "3", "50", "999999999"]),
    (TRAIN, "--num-layers", ["0", "9999999999"]),
    (TRAIN, "--num-timesteps", ["0", "4999"]),
    (TRAIN, "--device", ["gpu", "cpu:1"]),
    (TRAIN, "--label-names", ["", ","]),
    (TRAIN, "--out", ["/dev/null", "/proc/x"]),
    (TRAIN[:1], "--data", ["synthetic:0", "synthetic:99999999999", "synthetic:-1", "synthetic:²", "", "²", "bandai:"]),
    (EVALUATE, "--seeds", ["0", "²"]),
    (EVALUATE, "--num-samples", ["0", "1"]),
    (EVALUATE, "--recogniser-seed", ["-1", "99999999999999999999"]),
    (EVALUATE, "--guidance", ["nan", "inf"]),
]


@pytest.mark.parametrize(("command", "option", "value"), [(c, o, v) for c, o, vs in REFUSED for v in vs])
def test_a_value_that_cannot_be_is_a_line_that_names_it(command, option, value, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, [*command, option, value])
    assert result.exit_code == 2, result.output[-500:]
    last = result.stderr.strip().splitlines()[-1]
    assert last.lower().startswith("error: ") and last.isprintable() and len(last) < 400
    words = option.removeprefix("--").replace("-", "_").split("_")
    assert any(word in last.lower() for word in [*words, value[:7].lower()] if word), last
    assert not list(tmp_path.rglob("*.pth")) and not list(tmp_path.rglob("*.npy"))


NOT_WHOLE = [1.5, "2", "x", None, float("nan"), float("inf"), -1, True, [2], "²"]


@pytest.mark.parametrize("value", NOT_WHOLE)
def test_numbers_in_python_that_are_not_whole_or_none(value):
    checkpoint, clips = load_checkpoint(MODEL), load_clips("synthetic:24")
    calls = {
        "num_samples": lambda: generate(checkpoint, "jump", value, num_steps=1),
        "seed": lambda: generate(checkpoint, "jump", seed=value),
        "lengths": lambda: generate(checkpoint, "jump", lengths=[value]),
        "timesteps": lambda: generate(checkpoint, "jump", timesteps=[value]),
        "log_every": lambda: list(run_training(clips, SMALL, "never", steps=2, log_every=value)),
        "num_frames": lambda: judge_for(clips, value),
    }
    if value is not None:  # which says that it is left open
        calls |= {
            "steps": lambda: generate(checkpoint, "jump", num_steps=value),
            "frames": lambda: generate(checkpoint, "jump", num_frames=value),
            "guidance_interval": lambda: generate(checkpoint, "jump", guidance_interval=value),
            "steps ": lambda: list(train(clips, SMALL, steps=value)),
            "epochs": lambda: list(train(clips, SMALL, epochs=value)),
            "save_every": lambda: list(run_training(clips, SMALL, "never", steps=2, save_every=value)),
        }
    for name, call in calls.items():
        with pytest.raises(InputError, match=rf"^{name.strip()} (is|are|go)\b|^guidance_interval"):
            call()


def test_whole_numbers_may_be_written_as_others():
    assert Sampling(num_steps=1e1, num_frames=torch.tensor(40), lengths=np.array([40])).lengths == (40,)
    with pytest.raises(InputError, match="only one budget"):
        list(train(load_clips("synthetic:24"), SMALL, steps=2, epochs=1))


@pytest.mark.parametrize("value", ["x", "0", "-1", "²", "1.5", "99999999999999", "\x1b[31m"])
def test_numbers_of_threads_that_are_none(monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    with pytest.raises(InputError, match=r"environment variable OMP_NUM_THREADS is .*unset it") as caught:
        runtime.set_threads()
    assert str(caught.value).isprintable()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", value)
    with pytest.raises(InputError, match="LOCAL_WORLD_SIZE"):
        runtime.set_threads()


@pytest.mark.parametrize("value", ["", " ", "1,2"])
def test_numbers_of_threads_as_openmp_writes_them(monkeypatch, value):
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    try:
        runtime.set_threads()
        assert torch.get_num_threads() >= 1
    finally:
        torch.set_num_threads(before)


def losses(steps: int = 2) -> list[float]:
    return [trainer.losses()["loss"] for trainer in train(load_clips("synthetic:24"), SMALL, steps=steps)]


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_gradients_that_the_caller_turned_off(mode):
    expected, clips = losses(), load_clips("synthetic:24")
    recogniser = train_recogniser(clips, 60, steps=2).state_dict()
    with mode():
        assert losses() == expected
        again = train_recogniser(load_clips("synthetic:24"), 60, steps=2).state_dict()
        assert not torch.is_grad_enabled()
    assert all(torch.equal(again[name], value) for name, value in recogniser.items())


@pytest.mark.parametrize("change", [("dtype", torch.float64, torch.float32), ("device", "meta", "cpu")])
def test_defaults_of_torch_that_the_caller_changed(change):
    name, value, back = change
    checkpoint, clips = load_checkpoint(MODEL), load_clips("synthetic:24")
    set_default = getattr(torch, f"set_default_{name}")
    set_default(value)
    try:
        for act in (
            lambda: load_clips("synthetic:24"),
            lambda: load_checkpoint(MODEL),
            lambda: generate(checkpoint, "jump"),
            lambda: Trainer(clips, SMALL),
        ):
            with pytest.raises(InputError, match=f"torch's default .* set it back with torch.set_default_{name}"):
                act()
    finally:
        set_default(back)


def test_an_unknown_device_is_said_before_the_file_is_judged(tmp_path):
    (tmp_path / "m.pth").write_bytes(b"no checkpoint")
    for device in ("cuda:77", "nonsense", torch.device("meta")):
        with pytest.raises(InputError, match="is not available here"):
            load_checkpoint(tmp_path / "m.pth", device)
        with pytest.raises(InputError, match="is not available here"):
            load_checkpoint(MODEL).to(device)
        with pytest.raises(InputError, match="is not available here"):
            Trainer(load_clips("synthetic:24"), SMALL, device=device)
    assert load_checkpoint(MODEL, "cpu:0").representation.mean.device.type == "cpu"


@pytest.mark.parametrize("value", [float("inf"), float("nan"), -1, 1e9, "2"])
def test_guidance_that_cannot_be_is_refused_before_training(value):
    with pytest.raises(InputError, match="guidance_scale is"):
        Trainer(load_clips("synthetic:24"), SMALL, guidance_scale=value)


def test_too_few_to_compare_is_said_before_a_recogniser_is_trained(monkeypatch):
    monkeypatch.setattr("mdm_lib.evaluation.judge.train_recogniser", lambda *_: pytest.fail("trained"))
    for number, clips in [(1, load_clips("synthetic")), (600, replace(load_clips("synthetic:12"), maker=None))]:
        with pytest.raises(InputError, match="too few to compare"):
            judge_for(clips, 60, number)


def torchrun(folder, script: str, *options: str) -> subprocess.CompletedProcess:
    (folder / "run.py").write_text(script)
    command = [sys.executable, "-m", "torch.distributed.run", *options, "--nproc-per-node=2", str(folder / "run.py")]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


DIFFERENT = """
import os
from dataclasses import replace
import torch
from mdm_lib import PRESETS, InputError, load_clips, runtime
from mdm_lib.training import Trainer
torch.set_num_threads(1)
rank = int(os.environ["RANK"])
with runtime.process_group(torch.device("cpu")):
    for clips, lr in (("synthetic:24", 1e-3), ("synthetic:36", 1e-3), ("synthetic:24", 2e-3)):
        try:
            Trainer(load_clips(clips if rank else "synthetic:24"), replace(PRESETS["tiny"], lr=lr if rank else 1e-3))
            print(f"rank {rank} begins")
        except InputError as error:
            print(f"rank {rank}: {error}")
"""


def test_processes_with_other_clips_or_settings_notice(tmp_path):
    """The first Trainer is alike in both, the second differs in its clips, the third in a setting."""
    result = torchrun(tmp_path, DIFFERENT, "--standalone")
    # its exit status is not looked at: once in 40 runs torch aborted one of the processes as they parted
    for rank in (0, 1):
        assert f"rank {rank} begins" in result.stdout, result.stderr[:3000]
        assert f"rank {rank}: process 1 has other clips (synthetic:36, 36) than process 0" in result.stdout
        assert f"rank {rank}: process 1 has other settings (lr 0.002) than process 0 (lr 0.001)" in result.stdout


def test_a_busy_port_is_a_line(monkeypatch):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        own = {"TORCHELASTIC_RUN_ID": "x", "TORCHELASTIC_USE_AGENT_STORE": "False", "RANK": "0", "LOCAL_RANK": "0"}
        for name, value in {**own, "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
            monkeypatch.setenv(name, value)
        with (
            pytest.raises(InputError, match=f"cannot join .*port {port}.*--standalone"),
            runtime.process_group(torch.device("cpu")),
        ):
            pytest.fail("joined")
