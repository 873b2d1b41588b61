"""`python -m server.cli`, for where the `weft` command is not on the path."""

from server.cli import main

if __name__ == "__main__":
    main()
