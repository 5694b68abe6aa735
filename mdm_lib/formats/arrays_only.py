"""Read untrusted pickles: only numpy arrays and plain containers can come out.

``pickle.load`` runs any code that a pickle names. Allowing only numpy's names is not enough either: numpy's
``dtype.__setstate__`` accepts a dtype that presents raw bytes as object pointers, and its ``ndarray.__setstate__``
does not check the number of items in a list. The pickle therefore gets no numpy function, only the stand-ins below,
which take shapes, plain types and bytes, and build arrays with numpy functions that check their input.
"""

import copyreg
import io
import pickle
import re
from pathlib import Path

import numpy as np

from mdm_lib.errors import InputError
from mdm_lib.reading import check_pickle, reading, shown


def _flat(content, dtype) -> np.ndarray:
    """The items of an array as a flat array; the pickle stores them as bytes, or objects as a list."""
    if isinstance(content, list):  # the objects in it came through this same unpickler
        return np.fromiter(content, dtype=object, count=len(content))
    if isinstance(content, str):  # the bytes of a Python 2 pickle
        content = content.encode("latin1")
    if not isinstance(content, (bytes, bytearray)):  # not the memory of another array, which could be freed
        raise TypeError(f"an array made of {type(content).__name__}")
    return np.frombuffer(content, dtype.numpy)


class _Array(np.ndarray):
    def __setstate__(self, state):
        _, shape, dtype, is_fortran, content = state
        flat = _flat(content, dtype)
        shape = flat.reshape(shape).shape  # raises if they do not match
        content = list(flat) if flat.dtype == object else flat.tobytes()
        super().__setstate__((1, shape, flat.dtype, bool(is_fortran), content))


class _DType:
    def __init__(self, code, *_):
        if not isinstance(code, str) or not re.fullmatch(r"[biufcSU]\d+|O\d", code):
            raise InputError(f"holds an array of type {shown(code)}; save arrays of numbers instead")
        self.numpy = np.dtype(code)

    def __setstate__(self, state):
        self.numpy = self.numpy.newbyteorder(state[1])


class _Callable:
    """A function that a pickle may call but not alter: on a plain function, BUILD would set attributes."""

    __slots__ = ("function", "name")

    def __init__(self, function, name: str):
        self.function, self.name = function, name

    def __call__(self, *args):
        return self.function(*args)

    def __setstate__(self, state):
        raise InputError(f"would change {self.name}; it is not a motion file, do not trust it")


def _reconstruct(*_):
    return np.ndarray.__new__(_Array, 0)  # empty; __setstate__ sets its shape and items


def _scalar(dtype, content):
    return _flat(content, dtype)[0]


def _from_buffer(content, dtype, shape, order):
    return _flat(content, dtype).reshape(shape, order=order)


def _encode(text, encoding):
    if encoding != "latin1":  # protocols 0 to 2 write bytes in latin1
        raise InputError(f"holds text in the encoding {shown(encoding)}; save it with pickle protocol 3 or higher")
    return text.encode("latin1")


def _ndarray(*_):
    raise InputError("calls numpy.ndarray; it is not a motion file, do not trust it")


_STAND_INS = {
    ("numpy", "ndarray"): _ndarray,  # only named as an argument of _reconstruct, never called
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
    **{(builtins, "bytes"): lambda: b"" for builtins in ("builtins", "__builtin__")},  # how protocols 0 to 2 write b""
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
    _STAND_INS[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _STAND_INS[f"{_core}.multiarray", "scalar"] = _scalar
    _STAND_INS[f"{_core}.numeric", "_frombuffer"] = _from_buffer
_STAND_INS = {key: _Callable(function, ".".join(key)) for key, function in _STAND_INS.items()}


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _STAND_INS:
            raise InputError(
                f"asks for {f'{module}.{name}'[:60]!r}, which could run code; nothing was run. A motion file holds "
                "numpy arrays in lists and dicts: if you made the file, save only these; if not, do not trust it"
            )
        return _STAND_INS[module, name]

    def persistent_load(self, pid):
        raise InputError("refers to objects outside the file; save numpy arrays in lists and dicts")


def read_arrays_only(path: str | Path) -> object:
    """Load a pickle of any protocol (Python 2's too) that holds only numpy arrays and plain containers.

    Returns:
        dicts, lists, tuples, sets, text, numbers, and arrays of any of these; arrays may be read-only and of a
        subclass of ``np.ndarray``.

    Raises:
        InputError: if the file cannot be read, is damaged, or names anything else; none of its code is run.
    """
    with reading(path, "a pickle"):
        content = Path(path).read_bytes()
    return unpickle_arrays(content, path)


def unpickle_arrays(content: bytes, path: str | Path) -> object:
    """``read_arrays_only`` for a pickle in memory; errors call it ``path``."""
    copyreg.clear_extension_cache()  # cached classes would bypass find_class
    try:
        check_pickle(content)
        return _ArraysOnly(io.BytesIO(content), encoding="latin1").load()
    except InputError as refusal:
        raise InputError(f"{path} {refusal}") from None
    except Exception as error:  # a damaged pickle can raise any exception (pickle's documentation)
        raise InputError(f"{path} is cut short or not a pickle ({str(error)[:100]}); get it again") from error
