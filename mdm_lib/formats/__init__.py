"""Files that hold motion or arrays: read and written here, whichever data set they are of."""

from mdm_lib.formats.arrays_only import read_arrays_only, unpickle_arrays
from mdm_lib.formats.npy import load_motions, save_motions

__all__ = [
    "load_motions",
    "read_arrays_only",
    "save_motions",
    "unpickle_arrays",
]
