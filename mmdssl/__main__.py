"""``python -m mmdssl COMMAND ...``: the same as the console script."""

from .cli import main

main()
