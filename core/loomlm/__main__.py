"""`python -m loomlm` is the command `loomlm`."""

from loomlm.cli import main

main()
