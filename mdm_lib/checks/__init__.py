"""Checks of the exercises, a module a topic: ``checks.centre(my_centre)`` says whether it is right, or why not.

A chapter imports its own: ``from mdm_lib.checks import motion_data as checks``.
"""
