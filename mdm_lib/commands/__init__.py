"""The command line, a file a command; ``cli`` gathers them."""
