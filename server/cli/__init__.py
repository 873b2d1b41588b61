"""The `weft` command. Each command imports what it needs when it is called, so that help answers at once."""

from __future__ import annotations

from weft.server.cli.app import main

__all__ = ["main"]
