"""Reading and writing files of motion or arrays, independent of any data set."""

from mdm_lib.formats.arrays_only import read_arrays_only, unpickle_arrays
from mdm_lib.formats.npy import load_motions, save_motions

__all__ = [
    "load_motions",
    "read_arrays_only",
    "save_motions",
    "unpickle_arrays",
]
