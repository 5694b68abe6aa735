"""Reading files that may hold anything: a clear line for whatever is wrong, and nothing made before its size is known.

A file from elsewhere may be cut short, of another program, or made to do harm: a few bytes that unpack to gigabytes, or
that keep a reader busy for ever. Every reader of the course goes through one of these functions.
"""

import copyreg
import io
import json
import math
import os
import pickle
import pickletools
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import BinaryIO

import numpy as np
import torch

from mdm_lib.errors import InputError

#: A file may unpack to a gigabyte, a large one to so many times its own size.
UNPACKED, TIMES_ITS_SIZE = 2**30, 100
#: Limits of text and of pickles: bytes of a JSON file, opcodes, and containers in containers.
LONGEST_TEXT, MOST_OPCODES, DEEPEST = 50_000_000, 500_000, 100
#: The largest file in torch's layout of before 2020 that is read, bytes.
LARGEST_OLD = 100_000_000


@contextmanager
def reading(path: str | Path, what: str, remedy: str = "copy it again") -> Iterator[None]:
    """Whatever goes wrong inside becomes one line that names the file.

    Args:
        what: what the file should be, with an article: "a recogniser".

    Raises:
        InputError: if there is no such file, or reading it fails in any way.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"no file at {path}; check the path")
    if not path.is_file():
        raise InputError(f"{path} is {'a folder' if path.is_dir() else 'no plain file'}; give {what}")
    status = path.stat()
    if getattr(status, "st_blocks", math.inf) * 512 * TIMES_ITS_SIZE + UNPACKED < status.st_size:
        raise InputError(f"{path} declares {status.st_size:,} bytes but is almost empty; {remedy}")
    try:
        yield
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or str(error)[:100]}; {remedy}") from error
    except Exception as error:  # bytes of chance can raise anything in zipfile, zlib, json, numpy, pickle and torch
        reason = str(error)[:100] or type(error).__name__
        raise InputError(f"{path} is not {what}, or is damaged or cut short ({reason}); {remedy}") from error


def shown(value: object) -> str:
    """A value from a file as a message may show it: short, on one line, and without a foreign object's ``repr``."""
    if isinstance(value, str | bytes):
        return repr(value[:40])
    if value is None or isinstance(value, bool | float | np.number) or (isinstance(value, int) and abs(value) < 10**20):
        return repr(value)
    return f"a {type(value).__name__}"


def read_json(path: str | Path, what: str, remedy: str = "write it again") -> dict:
    """The object in a JSON file; anything else is an ``InputError``."""
    with reading(path, what, remedy):
        if os.path.getsize(path) > LONGEST_TEXT:
            raise ValueError("it is too long")
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds {shown(content)}, not an object")
        return content


def read_array(path: str | Path, what: str, remedy: str = "create it again") -> np.ndarray:
    """The array of numbers or text in a .npy file, in this machine's byte order."""
    with reading(path, what, remedy), open(path, "rb") as file:
        return _array(file, os.path.getsize(path))


def read_arrays(path: str | Path, what: str, remedy: str = "copy it again") -> dict[str, np.ndarray]:
    """The arrays in a .npz file by name, as ``read_array`` gives them."""
    with reading(path, what, remedy):
        check_unpacked(path)
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            return {m.filename.removesuffix(".npy"): _array(archive.open(m), m.file_size) for m in members}


def check_unpacked(path: str | Path) -> None:
    """Raise ``ValueError`` where a zip file unpacks to far more than its own size."""
    with zipfile.ZipFile(path) as archive:
        check_expansion(sum(member.file_size for member in archive.infolist()), os.path.getsize(path))


def check_expansion(unpacked: int, size: int) -> None:
    """Raise ``ValueError`` where ``size`` bytes make far more than themselves."""
    if unpacked > max(UNPACKED, TIMES_ITS_SIZE * size):
        raise ValueError(f"its {size:,} bytes would unpack to {unpacked:,}")


def read_weights(path: str | Path, device="cpu", mmap: bool = False, old_layout: bool = False) -> object:
    """What ``torch.save`` wrote: tensors, text and numbers. For use inside ``reading``, which names the file.

    Args:
        old_layout: also read files of before torch 1.6, which are no zip files.

    Raises:
        InputError: if it holds anything that could run code; nothing was run.
    """
    with open(path, "rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"  # by this torch.load decides which it is
    if old_layout and not is_zip:
        _check_old_layout(Path(path))
    else:
        check_unpacked(path)
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if name.endswith("data.pkl"):
                    check_pickle(archive.read(name))
        if not is_zip:
            raise ValueError("it does not begin as a zip file")
    try:
        return torch.load(path, map_location=device, weights_only=True, mmap=mmap)
    except UnpicklingError as error:
        raise InputError(f"{path} holds more than weights and plain values, so it was not opened") from error


def _check_old_layout(path: Path) -> None:
    """Raise ``ValueError`` for a file of old torch that would grow, or declares more numbers than it has bytes.

    Such a file is five pickles (a magic number, a version, facts on the machine, the object, the names of its tensors'
    memories) and then those memories.
    """
    if path.stat().st_size > LARGEST_OLD:
        raise ValueError("it is too long")
    file = io.BytesIO(path.read_bytes())
    for part in range(5):
        start = file.tell()
        for count, _ in enumerate(pickletools.genops(file)):
            if count > MOST_OPCODES:
                raise ValueError(f"it holds over {MOST_OPCODES:,} single objects")
        content = file.getvalue()[start : file.tell()]
        check_pickle(content)
        if part == 3:
            declared = _Declared(io.BytesIO(content), encoding="latin1")
            declared.load()
            numbers, left = sum(declared.sizes.values()), len(file.getvalue()) - file.tell()
            if numbers > left:
                raise ValueError(f"it declares {numbers:,} numbers and has {left:,} bytes")


class _Anything:
    """Stands for every class and function that a pickle names, and does nothing."""

    def __init__(self, *_):
        pass

    append = extend = add = __setitem__ = __setstate__ = __init__


class _Declared(pickle.Unpickler):
    """Finds out how many numbers a pickle of old torch says that each memory has: ``sizes``. It runs nothing of it."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.sizes = {}
        copyreg.clear_extension_cache()  # cached classes would bypass find_class

    def find_class(self, module, name):
        return _Anything

    def persistent_load(self, pid):
        _, _, key, _, size, _ = pid
        self.sizes[key] = max(size, self.sizes.get(key, 0))


def _array(file: BinaryIO, size: int) -> np.ndarray:
    """From a file of ``size`` bytes in numpy's format (numpy.lib.format). No object is made from it."""
    start = file.tell()
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"it is of numpy's format {version}")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read_header(file)
    if dtype.kind not in "biufcSU":
        raise ValueError("it does not hold numbers or text alone")
    declared, left = math.prod(shape) * dtype.itemsize, size - (file.tell() - start)
    if not all(0 <= count < 2**62 for count in shape) or declared > left:
        raise ValueError(f"it declares {declared:,} bytes of numbers and has {left:,}")
    flat = np.empty(math.prod(shape), dtype)
    if declared and file.readinto(flat.view(np.uint8)) != declared:
        raise ValueError("it ends too early")
    return flat.reshape(shape, order="F" if is_fortran else "C").astype(dtype.newbyteorder("="), copy=False)


_MARK = [0, 0]
_TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"}
#: What works through the items it takes: it hashes them, or copies them.
_WORKERS = {"SETITEM", "SETITEMS", "ADDITEMS", "DICT", "FROZENSET", "BUILD", "REDUCE", "NEWOBJ", "NEWOBJ_EX"}


def check_pickle(content: bytes) -> None:
    """Raise ``ValueError`` for a pickle that would grow far beyond its own size, or take for ever.

    A pickle is a program for a machine with a stack and a memory. Here it runs on sizes alone: [bytes, depth] stands
    for every object, so that a tuple that holds itself twice, a hundred times over, is seen before it is made.
    """
    stack, memory, work = [], {}, 0
    for count, (op, arg, _) in enumerate(pickletools.genops(content)):
        if count > MOST_OPCODES:
            raise ValueError(f"it holds over {MOST_OPCODES:,} single objects; save arrays of numbers")
        if op.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            index = len(memory) if arg is None else arg
            if index > len(content):
                raise ValueError(f"its memory would have {index:,} places")
            memory[index] = stack[-1]
            continue
        below, items = _taken(stack, op)
        size = sum(item[0] for item in items)
        work += size if op.name in _WORKERS else 0
        check_expansion(max(work, size), len(content))
        if op.name in _TUPLES:
            stack.append([size + 8, max((item[1] for item in items), default=0) + 1])
        elif op.name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memory[arg])
        elif op.name == "DUP":
            stack += [items[0], items[0]]
        elif op.name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"):
            below[0] += size
            below[1] = max(below[1], *(item[1] + 1 for item in items), 0)
            stack.append(below)
        elif op.name == "MARK":
            stack.append(_MARK)
        else:  # a new object; what is made from others may hold all of them
            length = len(arg) if isinstance(arg, str | bytes | bytearray) else 0
            depth = max((item[1] for item in items), default=-1) + 1
            stack += [[8 + length + size, depth] for _ in op.stack_after]
        if stack and stack[-1][1] > DEEPEST:
            raise ValueError(f"it nests more than {DEEPEST} containers")


def _taken(stack: list, op) -> tuple[list | None, list]:
    """What an opcode takes from the stack: the container that it fills, if any, and the other items."""
    items = []
    if pickletools.markobject in op.stack_before:
        while (item := stack.pop()) is not _MARK:
            items.append(item)
        fixed = op.stack_before.index(pickletools.markobject)
    else:
        fixed = len(op.stack_before)
    items += [stack.pop() for _ in range(fixed)]
    fills = op.name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS")
    return (items.pop(), items) if fills else (None, items)
