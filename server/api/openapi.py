"""The interface in OpenAPI's form as text: `python -m weft.server.api.openapi docs/openapi.json` writes it again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from weft.server.api.app import interface


def text() -> str:
    """The description, the same on every machine: names sorted, nothing of a running server in it."""
    return json.dumps(interface().openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    """Print it, or write it to the file that is named."""
    if arguments:
        Path(arguments[0]).write_text(text(), "utf-8")
    else:
        sys.stdout.write(text())


if __name__ == "__main__":
    main(sys.argv[1:])
