"""Checks of the exercises on reverse sampler."""
