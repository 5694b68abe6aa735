"""Old import paths: notebooks written before the package had folders keep working."""

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec

#: Removed module → the modules that now contain its names.
MODULES = {
    "cli": ("commands.cli",),
    "data.arrays_only": ("formats.arrays_only",),
    "data.clips": ("motion.clips", "motion.windows", "motion.geometry", "data.humanact12"),
    "data.factors": ("data.synthetic.factors",),
    "doctor": ("commands.doctor",),
    "metrics": ("evaluation.measures", "evaluation.physics", "evaluation.memory"),
    "pictures": ("visualise",),
    "pictures.figure": ("visualise.figure",),
    "pictures.page": ("visualise.page",),
    "pictures.plots": ("visualise.plots", "evaluation.score_table"),
    "player": ("visualise.player",),
    "recogniser": ("evaluation.recogniser",),
    "runs": ("training.run_folder",),
    "scorecard": ("evaluation.scorecard",),
    "skeleton": ("motion.skeleton",),
}
#: Existing module → names that were moved out of it, and where to.
NAMES = {
    "checkpoint": {"attention": "visualise.inspect", "find_action": "words"},
    "files": {"load_motions": "formats.npy", "save_motions": "formats.npy"},
    "runtime": {"FAST": "notebook", "fixed_noise": "notebook", "start_notebook": "notebook"},
    "sampling": {"guided": "guidance"},
}


class _OldAddresses(MetaPathFinder, Loader):
    """Creates a module for an old path when it is imported; its names are looked up in the new modules."""

    def find_spec(self, fullname, path=None, target=None):
        known = fullname.startswith("mdm_lib.") and fullname.removeprefix("mdm_lib.") in MODULES
        return ModuleSpec(fullname, self, is_package=fullname == "mdm_lib.pictures") if known else None

    def exec_module(self, module):
        places = MODULES[module.__name__.removeprefix("mdm_lib.")]

        def look_up(name: str):
            for place in places:
                found = importlib.import_module(f"mdm_lib.{place}")
                if not name.startswith("__") and hasattr(found, name):
                    return getattr(found, name)
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")

        module.__getattr__ = look_up


def keep_old_addresses() -> None:
    """Make old import paths work; the new modules are loaded only when an old path is used."""
    sys.meta_path.append(_OldAddresses())
    for name, left in NAMES.items():
        module = importlib.import_module(f"mdm_lib.{name}")

        def look_up(attribute: str, left=left, name=name):
            if attribute in left:
                return getattr(importlib.import_module(f"mdm_lib.{left[attribute]}"), attribute)
            raise AttributeError(f"module 'mdm_lib.{name}' has no attribute {attribute!r}")

        module.__getattr__ = look_up
