"""Ratings by people: pictures go into a folder or to an address, and a training waits for what they are given.

A picture's id is a hash of its pixels and its prompt. So a rating outlives the run that asked for it: a training that
was killed makes the same pictures again, finds their ratings in its folder, or with those that are remembered for all
runs, and asks for none twice.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import logging
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weft.nodes.images.encoding import encode
from weft.nodes.images.saving import replace_file
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.rewards.remembered import Remembered
from weft.nodes.values.pictures import Image

log = logging.getLogger("weft.training")
POLL_SECONDS, SLICE_SECONDS, TIMEOUT_SECONDS = 1.0, 0.1, 30.0
MAX_BYTES = 16 << 20
"""Of a file of ratings, or an answer."""
ANSWERS = ("*.json", "*.csv")
ASKED, BEFORE = "asked.json", "rated_before.json"
"""Written for people: no ratings are read from these."""
Ratings = Mapping[str, float]


def picture_id(image: Tensor, prompt: str) -> str:
    """What a picture (H, W, 3) in [0, 1] and its prompt are known by: 24 hex digits."""
    pixels = (image.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).contiguous()
    data = f"{list(pixels.shape)} {prompt}".encode() + pixels.numpy().tobytes()
    return hashlib.blake2b(data, digest_size=12).hexdigest()


def by_folder(
    folder: Path,
    images: Tensor,
    prompts: Sequence[str],
    check: Callable[[], None],
    remembered: Remembered | None = None,
) -> Tensor:
    """Ask in a folder and wait for all ratings: (n,) float32.

    A picture without a rating is written as `<id>.png`, and `asked.json` says the prompt of each that is waited for.
    Ratings are read from all other .json and .csv files there: {"<id>": number}, a list of {"id", "rating"}, or a table
    with the columns id and rating. What is not rated there and was in an earlier run is not asked: `rated_before.json`
    tells the ratings, and the folder `rated_before` has the pictures. A rating in the folder counts before those.

    Args:
        remembered: the ratings of all runs; None for the folder alone.

    Raises:
        Cancelled: by `check`, while it waits.
        TrainingError: a rating is no finite number, or a file of ratings is too large.
    """
    ids = [picture_id(image, prompt) for image, prompt in zip(images, prompts, strict=True)]
    folder.mkdir(parents=True, exist_ok=True)

    def exchange(said: Ratings) -> dict[str, float]:
        return {} if remembered is None else remembered.exchange(said, ids)

    own, seen = read_folder(folder), None
    before = exchange(own)
    known = before | own
    _tell_before(folder, ids, images, prompts, before)
    for id, image in zip(ids, images, strict=True):
        file = folder / f"{id}.png"
        if id not in known and not file.exists():
            replace_file(_png(image), file)
    if asked := [{"id": id, "prompt": prompt} for id, prompt in zip(ids, prompts, strict=True) if id not in known]:
        replace_file(json.dumps(asked, indent=1).encode(), folder / ASKED)
        log.info("waiting for ratings of %d pictures in %s", len(asked), folder)
    while any(id not in known for id in ids):
        _wait(POLL_SECONDS, check)
        state = _state(folder)
        if state != seen:
            own, seen = read_folder(folder), state
        before |= exchange(own)
        known = before | own
    return torch.tensor([known[id] for id in ids], dtype=torch.float32)


def _tell_before(folder: Path, ids: Sequence[str], images: Tensor, prompts: Sequence[str], before: Ratings) -> None:
    """Show people what counts without their being asked. Where that cannot be written, it counts all the same."""
    if not before:
        return
    try:
        rows = {row["id"]: row for row in json.loads((folder / BEFORE).read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, LookupError):
        rows = {}
    try:
        (folder / BEFORE).with_suffix("").mkdir(exist_ok=True)
        for id, image, prompt in zip(ids, images, prompts, strict=True):
            if id in before:
                rows[id] = {"id": id, "prompt": prompt, "rating": before[id]}
                file = (folder / BEFORE).with_suffix("") / f"{id}.png"
                if not file.exists():
                    replace_file(_png(image), file)
        replace_file(json.dumps(list(rows.values()), indent=1).encode(), folder / BEFORE)
    except OSError as error:
        log.warning("which pictures were rated before cannot be told in %s: %s", folder, error)


def _png(image: Tensor) -> bytes:
    return encode(Image(image[None]).pil(0), "png")


def _state(folder: Path) -> list[tuple[str, int, int]]:
    """What changes when a file of ratings does."""
    found = []
    for path in _answers(folder):
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((path.name, status.st_mtime_ns, status.st_size))
    return found


def _answers(folder: Path) -> list[Path]:
    return sorted(path for pattern in ANSWERS for path in folder.glob(pattern) if path.name not in (ASKED, BEFORE))


def read_folder(folder: Path) -> dict[str, float]:
    """All ratings in a folder, by id; of two for one picture, that in the file whose name comes last.

    A file that is half-written is passed over, and read when it is whole.
    """
    found: dict[str, float] = {}
    for path in _answers(folder):
        try:
            if path.stat().st_size > MAX_BYTES:
                raise TrainingError(f"{path} is larger than {MAX_BYTES >> 20} MiB: that is no file of ratings")
            text = path.read_text(encoding="utf-8-sig")
            found |= ratings_of(text, path.suffix == ".csv", str(path))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            log.warning("%s cannot be read yet: %s", path, error)
    return found


def ratings_of(text: str, table: bool, name: str) -> dict[str, float]:
    """The ratings in a text, by id.

    Raises:
        TrainingError: one is no finite number, or the text is no ratings.
        json.JSONDecodeError: it is not whole.
    """
    pairs: list[tuple[Any, Any]]
    if table:
        rows = list(csv.DictReader(io.StringIO(text)))
        if rows and not {"id", "rating"} <= set(rows[0]):
            raise TrainingError(f"{name} has the columns {', '.join(map(str, rows[0]))}: it needs id and rating")
        # A last line that is being written has no rating yet.
        pairs = [(row["id"], row["rating"]) for row in rows if row["rating"] not in (None, "")]
    else:
        data = json.loads(text)
        if isinstance(data, dict) and isinstance(data.get("ratings"), (dict, list)):
            data = data["ratings"]
        if isinstance(data, dict):
            pairs = list(data.items())
        elif isinstance(data, list) and all(isinstance(row, dict) and {"id", "rating"} <= set(row) for row in data):
            pairs = [(row["id"], row["rating"]) for row in data]
        else:
            raise TrainingError(
                f"{name} holds no ratings: write {{id: number}}, or a list of objects with id and rating"
            )
    return {str(own): _number(rating, str(own), name) for own, rating in pairs}


def _number(rating: Any, own: str, name: str) -> float:
    try:
        number = math.nan if isinstance(rating, bool) else float(rating)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise TrainingError(f"the rating of the picture {own} in {name} is {rating!r}: it has to be a finite number")
    return number


def by_address(endpoint: str, images: Tensor, prompts: Sequence[str], check: Callable[[], None]) -> Tensor:
    """Ask at an address and wait for all ratings: (n,) float32.

    What has no rating is sent as a POST of {"pictures": [{"id", "prompt", "png": base64}]}, again and again until the
    answers, {"ratings": {"<id>": number}}, have named all. An address that does not answer is asked again.

    Raises:
        Cancelled: by `check`, while it waits.
        TrainingError: an answer holds no ratings, or the address refuses.
    """
    ids = [picture_id(image, prompt) for image, prompt in zip(images, prompts, strict=True)]
    pictures = {
        own: {"id": own, "prompt": prompt, "png": base64.b64encode(_png(image)).decode()}
        for own, prompt, image in zip(ids, prompts, images, strict=True)
    }
    known: dict[str, float] = {}
    wait = POLL_SECONDS
    while True:
        check()
        missing = [picture for own, picture in pictures.items() if own not in known]
        if not missing:
            return torch.tensor([known[own] for own in ids], dtype=torch.float32)
        try:
            known |= {
                own: n for own, n in ratings_of(_post(endpoint, missing), False, endpoint).items() if own in pictures
            }
            wait = POLL_SECONDS
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code not in (408, 425, 429):
                raise TrainingError(f"{endpoint} refuses the pictures: {error.code} {error.reason}") from error
            log.warning("%s answers %d: asking again", endpoint, error.code)
            wait = min(2 * wait, TIMEOUT_SECONDS)
        except json.JSONDecodeError as error:
            raise TrainingError(f"{endpoint} answers no JSON: {error}") from error
        except OSError as error:
            log.warning("%s does not answer (%s): asking again", endpoint, error)
            wait = min(2 * wait, TIMEOUT_SECONDS)
        if any(own not in known for own in ids):
            _wait(wait, check)


def _post(endpoint: str, pictures: Sequence[Mapping[str, str]]) -> str:
    body = json.dumps({"pictures": list(pictures)}).encode()
    request = urllib.request.Request(endpoint, body, {"Content-Type": "application/json"}, method="POST")
    # No redirects: the address that was allowed is the one that gets the pictures.
    opener = urllib.request.build_opener(_NoRedirects)
    with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
        data = answer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TrainingError(f"{endpoint} answers with more than {MAX_BYTES >> 20} MiB: these are no ratings")
    return str(data.decode("utf-8", "replace")) or "{}"


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an error."""

    def redirect_request(self, *args: Any, **more: Any) -> None:
        """Nothing else is asked."""


def _wait(seconds: float, check: Callable[[], None]) -> None:
    """Some time, with a look at whether the run was cancelled every tenth of a second."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        check()
        time.sleep(min(left, SLICE_SECONDS))
    check()
