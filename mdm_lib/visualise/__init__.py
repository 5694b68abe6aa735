"""Pictures of motion: GIFs and film strips, plots, and a player for notebooks and pages."""

from importlib import import_module

from mdm_lib.visualise.figure import SIDE_COLOURS, camera_path, check_motions, fit_view, project
from mdm_lib.visualise.strips import draw_frames, film_strip, save_film_strip, save_gif

__all__ = [
    "SIDE_COLOURS",
    "camera_path",
    "check_motions",
    "draw_frames",
    "film_strip",
    "fit_view",
    "project",
    "save_film_strip",
    "save_gif",
]


#: Loaded on first use, since these need larger libraries, which the film strip does not.
_LATER = {
    "MotionPlayer": "mdm_lib.visualise.player",
    "draw_dial": "mdm_lib.visualise.plots",
    "plot_attention": "mdm_lib.visualise.plots",
    "plot_denoiser": "mdm_lib.visualise.plots",
    "plot_losses": "mdm_lib.visualise.plots",
    "plot_noise": "mdm_lib.visualise.plots",
    "attention": "mdm_lib.visualise.inspect",
    "told_names": "mdm_lib.visualise.inspect",
}


def __getattr__(name: str):
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
