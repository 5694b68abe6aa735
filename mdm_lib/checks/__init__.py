"""Checks of the exercises, one module per topic: ``checks.centre(my_centre)`` says whether it is right, or why not.

Each chapter imports its own: ``from mdm_lib.checks import motion_data as checks``.
"""
