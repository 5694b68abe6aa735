"""Checks of the exercises on motion data."""
