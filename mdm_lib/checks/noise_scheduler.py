"""Checks of the exercises on noise scheduler."""
