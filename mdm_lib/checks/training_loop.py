"""Checks of the exercises on training loop."""
