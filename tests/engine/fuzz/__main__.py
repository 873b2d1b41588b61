"""Random runs against plain evaluation, for as long as one likes; a JSON line now and then, and the first wrong one.

`python -m tests.engine.fuzz --hours 1 --seed 5` or `--runs 20000`; `--batch 5000012` is again what a report names.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.engine.fuzz.reduce import reduced
from tests.engine.fuzz.scenarios import CASES, Batch, WrongError, batches

HANGS_SECONDS = 40
"""So long without one batch more is a hang: the stacks are printed, and the process ends."""


def main() -> int:
    """The exit code: 0 when every run was right."""
    parser = argparse.ArgumentParser(prog="python -m tests.engine.fuzz", description=__doc__)
    parser.add_argument("--hours", type=float, help="how long")
    parser.add_argument("--runs", type=int, help="how many runs, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, help="one batch again, 50 times: threads take another order each time")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two lines")
    given = parser.parse_args()
    logging.getLogger("weft").setLevel(logging.ERROR)  # it warns of much that is done here on purpose
    start = said = time.monotonic()
    cpu = time.process_time()
    hours = given.hours if given.hours is not None or given.runs is not None else 1.0

    def line(runs: Counter[str], wrong: int) -> None:
        seconds, own = round(time.monotonic() - start, 1), round(time.process_time() - cpu, 1)
        known = {"runs": runs.total(), "seconds": seconds, "cpu_seconds": own, "wrong": wrong, "seed": given.seed}
        print(json.dumps(known | {"kinds": dict(sorted(runs.items()))}), flush=True)

    def go_on(runs: Counter[str]) -> bool:
        nonlocal said
        faulthandler.dump_traceback_later(HANGS_SECONDS, exit=True)
        if time.monotonic() - said > given.every:
            said = time.monotonic()
            line(runs, 0)
        return not (
            (hours is not None and time.monotonic() - start > hours * 3600)
            or (given.runs is not None and runs.total() >= given.runs)
        )

    try:
        with tempfile.TemporaryDirectory(prefix="weft-fuzz-") as folder:
            if given.batch is not None:
                for turn in range(50):
                    batch = Batch(given.batch, Path(folder) / str(turn))
                    for _ in range(CASES):
                        batch.case()
            else:
                line(batches(given.seed, Path(folder), go_on), 0)
    except WrongError as error:
        print(json.dumps({"wrong": 1} | reduced(error.what), indent=1, default=repr))
        return 1
    finally:
        faulthandler.cancel_dump_traceback_later()
    return 0


if __name__ == "__main__":
    sys.exit(main())
