"""The command line, one file per command; ``cli`` combines them."""
