"""What holds for all tests: a node that changes its inputs in place fails, as `Settings(debug=True)` has it."""

from __future__ import annotations

import os

os.environ["WEFT_DEBUG"] = "1"
