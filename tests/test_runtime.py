import pytest
import torch

from mdm_lib import InputError, runtime

CPU = torch.device("cpu")


def test_device_by_name_or_best():
    assert runtime.pick_device("cpu") == CPU
    assert runtime.pick_device().type in ("cpu", "cuda", "mps")
    with pytest.raises(InputError, match=r"'npu' is not available here; use one of: .*cpu"):
        runtime.pick_device("npu")


@pytest.mark.parametrize(
    ("amx", "capabilities", "expected"),
    [
        (True, {}, "bfloat16"),
        (False, {"avx512_bf16": True, "sse4a": True}, "bfloat16"),  # AMD's
        (False, {"avx512_bf16": True, "sse4a": False}, "float32"),  # Intel's
        (False, {"avx512_bf16": False, "sse4a": True}, "float32"),
        (False, None, "float32"),  # an older torch, which does not tell
    ],
)
def test_precision_follows_the_hardware(monkeypatch, amx, capabilities, expected):
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    if capabilities is None:
        monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    else:
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert runtime.precision_name(CPU) == runtime.precision_name(CPU, latent_dim=128) == expected
    assert runtime.precision_name(CPU, latent_dim=64) == "float32"  # so narrow that it would be slower
    with runtime.autocast(CPU):
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == getattr(torch, expected)


def test_precision_as_told():
    for name, dtype in (("bf16", torch.bfloat16), ("fp32", torch.float32)):
        with runtime.autocast(CPU, name):
            assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == dtype


def test_no_bfloat16_where_it_cannot_be_known(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert not runtime.has_fast_bfloat16(CPU)
    assert not runtime.has_fast_bfloat16(torch.device("mps"))


def test_threads(monkeypatch):
    before = torch.get_num_threads()
    try:
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        runtime.set_threads()
        assert torch.get_num_threads() == 1
        monkeypatch.delenv("OMP_NUM_THREADS")
        monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(4)), raising=False)
        for processes, expected in (("1", 4), ("2", 2), ("8", 1)):
            monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
            runtime.set_threads()
            assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


def test_start_notebook_seeds_and_says_what_runs(capsys, monkeypatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(runtime, "FAST", True)
    runtime.start_notebook(seed=3)
    first = torch.rand(1)
    runtime.start_notebook(seed=3)
    assert torch.equal(first, torch.rand(1)) and torch.get_num_threads() == 1
    assert f"torch {torch.__version__}" in capsys.readouterr().out
    torch.set_num_threads(before)


def test_alone_there_is_no_process_group():
    with runtime.process_group(CPU) as device:
        assert device == CPU and runtime.is_first_process()


def test_training_in_bfloat16_on_a_cpu_takes_unfused_attention():
    """The way back through torch's fused attention is many times slower there; without gradients it is the faster."""
    q = torch.randn(2, 4, 8, 16, requires_grad=True)
    with runtime.autocast(CPU, "bf16"):
        assert "Flash" not in type(torch.nn.functional.scaled_dot_product_attention(q, q, q).grad_fn).__name__
        assert not torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()  # as before
    with torch.no_grad(), runtime.autocast(CPU, "bf16"):
        assert torch.backends.cuda.flash_sdp_enabled()
    with runtime.autocast(CPU, "fp32"):
        assert "Flash" in type(torch.nn.functional.scaled_dot_product_attention(q, q, q).grad_fn).__name__
