"""`python -m gemmalocal` is the command line."""

from gemmalocal.cli import main

main()
