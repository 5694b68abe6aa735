"""Checkpoints that somebody damaged or made up: a clear line within seconds, whatever is in them; no code is run."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mdm_lib import InputError, load_checkpoint

FORMAT_1 = Path(__file__).parents[1] / "fixtures" / "format1.pth"
#: Longer by a flag: MDM_ROBUSTNESS=20 tries twenty times as many.
EFFORT = int(os.environ.get("MDM_ROBUSTNESS", "1"))
HOSTILE = [None, -1, 0, 1.5, 2**70, float("nan"), float("inf"), True, "", "x" * 10_000, "\x1b[31m", [], [1], {},
           {"a": 1}, (), [[[]]], torch.tensor([1.0]), torch.zeros(0)]  # fmt: skip
#: What may have other values: they say nothing that the rest of the file contradicts.
FREE = ("fps", "guidance_scale", "training", "source", "condition", "checksum")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = load_checkpoint(FORMAT_1).save(tmp_path_factory.mktemp("whole") / "m.pth")
    return path, torch.load(path, weights_only=True)


def opened(path) -> bool:
    """Whether a file opens; if not, an ``InputError`` of one line says why, and within five seconds."""
    begun = time.process_time()  # no clock: the machine may be busy with something else
    try:
        load_checkpoint(path)
    except InputError as error:
        assert len(str(error)) < 500 + len(str(path)), str(error)[:300]
        return False
    finally:
        assert time.process_time() - begun < 5
    return True


PARTS = ["format", "config", "skeleton", "normaliser", "model", *FREE]


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("part", PARTS)
def test_parts_of_another_kind(whole, tmp_path, part, version):
    content = whole[1] if version == 2 else torch.load(FORMAT_1, weights_only=True)
    for value in HOSTILE:
        torch.save({**content, part: value}, tmp_path / "m.pth")
        fine = {("fps", 1.5), ("guidance_scale", 1.5), ("guidance_scale", 0), ("guidance_scale", -1)}
        if opened(tmp_path / "m.pth"):
            assert (
                part in ("fps", "guidance_scale", "training", "source", "condition", "checksum")
                or (part, value) in fine
            )


def test_settings_of_another_kind(whole, tmp_path):
    for number, setting in enumerate(whole[1]["config"]):
        for value in HOSTILE if EFFORT > 1 else HOSTILE[number % 3 :: 3]:
            torch.save({**whole[1], "config": {**whole[1]["config"], setting: value}}, tmp_path / "m.pth")
            opened(tmp_path / "m.pth")


def test_flipped_bits_are_noticed(whole, tmp_path):
    """Wherever a bit is flipped: an error, or a file that says the same (bits between the parts mean nothing)."""
    content, random = whole[0].read_bytes(), np.random.default_rng(0)
    weights = load_checkpoint(whole[0]).model.state_dict()
    noticed = 0
    for place in random.integers(0, 8 * len(content), 100 * EFFORT):
        damaged = bytearray(content)
        damaged[place // 8] ^= 1 << (place % 8)
        (tmp_path / "m.pth").write_bytes(damaged)
        if not opened(tmp_path / "m.pth"):
            noticed += 1
        else:
            again = load_checkpoint(tmp_path / "m.pth").model.state_dict()
            assert all(torch.equal(again[name], weight) for name, weight in weights.items())
    assert noticed > 0


def test_cut_and_mixed_up_files(whole, tmp_path):
    content, random = whole[0].read_bytes(), np.random.default_rng(1)
    for length in random.integers(0, len(content), 40 * EFFORT):
        (tmp_path / "m.pth").write_bytes(content[:length])
        assert not opened(tmp_path / "m.pth")
    for start, end in random.integers(0, len(content), (40 * EFFORT, 2)):
        (tmp_path / "m.pth").write_bytes(content[:start] + content[end:] + random.bytes(int(random.integers(0, 99))))
        opened(tmp_path / "m.pth")
