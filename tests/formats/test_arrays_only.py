"""The unpickler: what it lets in, and what it refuses."""

import copyreg
import os
import pickle

import numpy as np
import pytest
from helpers import layout, write

from mdm_lib.data.humanact12 import read_arrays_only
from mdm_lib.errors import InputError

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


# ---------------------------------------------------------------- the unpickler: what it lets in

ARRAYS = {
    "float32": np.arange(6, dtype="f4").reshape(2, 3),
    "column order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big endian": np.arange(3, dtype=">i4"),
    "bool": np.array([True, False]),
    "text": np.array(["walk", "run"]),
    "empty": np.zeros((0, 24, 3), "f4"),
    "no axes": np.array(3.0),
    "objects": np.array([{"a": 1.5}, None], dtype=object),
    "scalar": np.float32(1.5),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays_come_back_as_from_pickle_itself(tmp_path, array, protocol):
    file = write(tmp_path / "a.pkl", {"x": [array, (1, "b")]}, protocol)
    found, expected = read_arrays_only(file)["x"], pickle.loads(file.read_bytes())["x"]
    assert found[1] == expected[1] and found[0].dtype == expected[0].dtype
    np.testing.assert_equal(np.asarray(found[0]), expected[0])


@pytest.mark.parametrize("protocol", range(4))
@pytest.mark.parametrize("core", [b"numpy.core.", b"numpy._core."])
def test_pickles_of_numpy_1_and_2_are_read_alike(tmp_path, core, protocol):
    content = pickle.dumps([np.arange(3.0), np.float64(2)], protocol)
    content = content.replace(b"numpy._core.", b"numpy.core.").replace(b"numpy.core.", core)
    array, scalar = read_arrays_only(write(tmp_path / "a.pkl", content))
    assert array.tolist() == [0, 1, 2] and scalar == 2


def test_a_pickle_of_python_2_is_read(tmp_path):
    array = np.array([1.5, -2.25], "<f4")
    content = (
        b"\x80\x02}U\x01xcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K\x02\x85cnumpy\ndtype\nU\x02f4K\x00K\x01\x87R(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89U\x08" + array.tobytes() + b"tbs."
    )
    np.testing.assert_array_equal(read_arrays_only(write(tmp_path / "a.pkl", content))["x"], array)


# ---------------------------------------------------------------- the unpickler: what it refuses


class Call:
    """What a pickle says to have a function called; a third part is the state given to the result."""

    def __init__(self, function, *args, state=None):
        self.parts = (function, args) if state is None else (function, args, state)

    def __reduce__(self):
        return self.parts


def in_objects(item):
    array = np.empty(1, dtype=object)
    array[0] = item
    return array


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "nest", [lambda item: item, lambda item: {"y": [item]}, in_objects], ids=["bare", "in", "array"]
)
@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (os.system, "touch {}"),
        (eval, "open({!r}, 'w')"),
        (getattr, "{}"),
        (np.load, "{}"),
        (np.fromfile, "{}"),
        (np.memmap, "{}"),
        (np.matrix, "1 2"),
        (bytearray, "{}"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_no_function_is_run(tmp_path, function, argument, nest, protocol):
    trap = tmp_path / "trap"
    file = write(tmp_path / "evil.pkl", nest(Call(function, argument.format(str(trap)))), protocol)
    with pytest.raises(InputError, match=rf"evil.pkl asks for .*\.{function.__name__}'"):
        read_arrays_only(file)
    assert not trap.exists()


POINTERS = Call(np.dtype, "V8", False, True, state=(3, "|", None, ("a",), {"a": (np.dtype("O"), 0)}, 8, 1, 0))
RECONSTRUCT, SCALAR = np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]
FROM_BUFFER = np.zeros(1).__reduce_ex__(5)[0]


def forged(shape, dtype, content):
    return Call(RECONSTRUCT, np.ndarray, (0,), b"b", state=(1, shape, dtype, False, content))


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "forgery",
    [
        forged((1,), POINTERS, bytes(8)),
        forged((1,), np.dtype("O"), bytes(8)),
        forged((9,), np.dtype("O"), [1]),
        forged((2**40,), np.dtype("f8"), bytes(8)),
        forged((-1, -1), np.dtype("f8"), bytes(8)),
        forged((1,), None, bytes(8)),
        Call(SCALAR, np.dtype("O"), bytes(8)),
        Call(FROM_BUFFER, np.zeros(9), np.dtype("f8"), (9,), "C"),
        Call(np.ndarray, (9,), np.dtype("O")),
        Call(np.dtype, "f8", state=(3,)),
        Call(__import__("_codecs").encode, "code", "rot13"),
    ],
    ids=["pointers", "object-bytes", "short-list", "huge", "negative", "no-type", "object-scalar", "borrowed-memory",
         "uninitialised", "dtype-state", "codec"],
)  # fmt: skip
def test_numpys_own_ways_cannot_be_abused(tmp_path, forgery, protocol):
    with pytest.raises(InputError, match=r"evil\.pkl"):
        read_arrays_only(write(tmp_path / "evil.pkl", [forgery], protocol))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"Pwho\n.", "objects outside the file"),
        (b"\x80\x02cnumpy\ndtype\nN}X\x08\x00\x00\x00functionNs\x86b.", "would change numpy.dtype"),
        (b"\x80\x04\x8c\x05numpy\x8c\x0edtype.__init__\x93.", r"asks for 'numpy.dtype.__init__'"),
        (b"\x80\x02\x82\xf0.", "asks for 'posix.getcwd'"),
        (b"\x80\x02\x82\xf1.", "cut short or not a pickle"),
        (b"<html>quota</html>", "cut short or not a pickle"),
        (b"", "cut short or not a pickle"),
        (pickle.dumps(layout())[:-900], "cut short or not a pickle"),
    ],
    ids=["persistent", "build", "dotted", "extension", "no-extension", "html", "empty", "truncated"],
)
def test_odd_pickles_are_refused(tmp_path, content, complaint):
    copyreg.add_extension("posix", "getcwd", 0xF0)
    try:
        if os.name == "posix":
            pickle.loads(b"\x80\x02\x82\xf0.")  # now Python's cache has it, which find_class would not see
        with pytest.raises(InputError, match=f"evil.pkl .*{complaint}"):
            read_arrays_only(write(tmp_path / "evil.pkl", content))
    finally:
        copyreg.remove_extension("posix", "getcwd", 0xF0)
