"""Explorers: interactive controls and what they show, in a notebook."""

from mdm_lib.widgets.engine import Explorer, explore
from mdm_lib.widgets.explorers import attention_explorer, gallery, noise_explorer, sampler_explorer
from mdm_lib.widgets.stage import Motion

__all__ = [
    "Explorer",
    "Motion",
    "attention_explorer",
    "explore",
    "gallery",
    "noise_explorer",
    "sampler_explorer",
]
