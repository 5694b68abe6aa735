"""How a pose becomes pixels; ``mdm_lib.visualise`` is what one calls."""
