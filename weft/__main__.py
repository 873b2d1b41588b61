"""`python -m weft`: the command line, for where the `weft` command is not on the path."""

from weft.server.cli import main

if __name__ == "__main__":
    main()
