"""Run the `stepdown` command as `python -m flows`."""

from flows.cli import main

main()
