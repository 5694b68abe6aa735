"""Checks of the exercises on denoiser."""
