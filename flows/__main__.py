"""`python -m flows` is the `stepdown` command."""

from flows.cli import main

main()
