"""Going on from an earlier run: a run whose first difference lies at step k costs n - k steps, and gives the same bits.

The state before step k is signed by a chain of keys: of what the run begins with (model, noise, scheduler), and of what
each step before k depended on (its levels, and the techniques active in it, by content). Equal keys mean equal states,
so the run takes the latents, the scheduler's history, the generators and what techniques remember from there.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weft.engine.cache.trails import Trail
from weft.engine.values import nbytes
from weft.nodes.sampling.content import Contents, NoContent, class_name, code, machine
from weft.nodes.sampling.history import Freezer, NoHistory
from weft.nodes.sampling.run import HOOKS, Active, Forward, Resume, Run, Step, overrides
from weft.nodes.technique import Technique

log = logging.getLogger("weft.sampling")

FORMAT = 1
SAVE_SECONDS = 20.0
"""A run that takes longer is kept in between as well, for when its process is killed."""


@dataclass(frozen=True, eq=False)
class Chain:
    """The keys of a run. base: of what it begins with. keys: after each step, up to where its content can be told.

    slots: a number for each technique that acts, in the order in which they begin to; equal in runs that share steps.
    """

    base: bytes
    keys: list[bytes]
    slots: dict[int, Technique]


def make_chain(run: Run, resume: Resume, timeline: Sequence[Active], start: Tensor, max_units: int | None) -> Chain:
    """Sign a run that is set up and has made no step.

    Raises NoContent when not even what it begins with can be told.
    """
    contents, schedule, calls = Contents(), run.schedule, run.schedule.calls
    begins = (FORMAT, code(), machine(run.device), str(run.dtype), resume.recipe, schedule.signature(), max_units)
    canvas = (run.shape, tuple(run.views), run.scale_factor, run.scale_embedding, run.time_ids)
    values = (start, run.noise, run.clean, run.pure_noise, [source.get_state() for source in run.generators])
    base = key = contents.key((begins, canvas, values))
    acting = [technique for technique in run.techniques if any(overrides(technique, hook) for hook in HOOKS)]
    numbers: dict[int, int] = {}
    slots: dict[int, Technique] = {}
    keys: list[bytes] = []
    try:
        for index, active in enumerate(timeline):
            parts = []
            for technique in acting:
                inside = technique.inside(index, calls)
                identity = technique.identity(index, calls) if inside or technique.base else None
                if identity is None:
                    continue
                # A second technique of equal parameters is another one: what the first remembers is not its own.
                slot = numbers.setdefault(id(technique), len(numbers))
                slots[slot] = technique
                parts.append((slot, inside, class_name(type(technique)), identity))
            levels = [*schedule.alphas[index : index + 2], *schedule.sigmas[index : index + 2]]
            numerics = [float(schedule.timesteps[index]), *map(float, levels), schedule.whole(index)]
            signed = contents.key((numerics, schedule.step_signature(index), sorted(active.wanted), parts))
            key = hashlib.blake2b(key + signed, digest_size=20).digest()
            keys.append(key)
    except NoContent as reason:
        log.debug("steps from %d on cannot be resumed: %s", len(keys), reason)
    return Chain(base, keys, slots)


def recording(run: Run, timeline: Sequence[Active], start: Tensor, max_units: int | None) -> Recorder | None:
    """What keeps the states of a run that is set up; None where the run says so, or cannot be signed."""
    if run.resume is None:
        return None
    try:
        chain = make_chain(run, run.resume, timeline, start, max_units)
    except NoContent as reason:
        log.debug("the run cannot be resumed: %s", reason)
        return None
    return Recorder(run, run.resume, chain, start)


class Recorder:
    """Keeps the states of one run as it goes, and begins it from those of an earlier one.

    path: the latents so far, beginning with the start; the loop appends to it.
    """

    def __init__(self, run: Run, resume: Resume, chain: Chain, start: Tensor) -> None:
        self.path = [start]
        self._run = run
        self._resume = resume
        self._chain = chain
        self._states: dict[int, Any] = {}
        self._freezer = Freezer()
        self._stopped = False
        self._reused = 0
        self._saved = time.monotonic()
        self._every = 1
        self._limit = resume.trails.trail_bytes // 2
        if start.nbytes * run.schedule.calls > self._limit:
            self._stopped = True  # too large to be worth it
            chain.keys.clear()

    def begin(self, timeline: Sequence[Active], forward: Forward) -> Tensor:
        """The latents to go on with, after as many steps as an earlier run shares; `path` holds these."""
        run, start = self._run, self.path[0]
        trail = self._resume.trails.longest(self._chain.base, self._chain.keys) if self._chain.keys else None
        if trail is None:
            return start
        after_setup = [source.get_state() for source in run.generators]
        fresh = run.schedule.fork()
        try:
            latents = self._take(trail, timeline, forward)
        except Exception as error:
            log.warning("an earlier run's steps do not fit and are made anew: %s: %s", type(error).__name__, error)
            self._back(fresh, after_setup)
            return start
        if self._reused and self._resume.said is not None:
            self._resume.said(self._reused, run.schedule.calls)
        return latents

    def _take(self, trail: Trail, timeline: Sequence[Active], forward: Forward) -> Tensor:
        run, calls = self._run, self._run.schedule.calls
        past, states = trail.value["path"], trail.value["states"]
        if any(tuple(part.shape) != run.shape or part.dtype != torch.float32 for part in past):
            raise ValueError("latents of another shape")
        usable = [number for number in states if number <= trail.shared]
        count = calls if trail.shared == calls else max(usable, default=0)
        if not count:
            return self.path[0]
        # A copy, as fresh memory: sums over memory that lies otherwise may round otherwise.
        latents: Tensor = past[count - 1].clone().to(run.device)
        if count < calls:
            state = states[count]
            step = Step(run, count, latents, timeline[count], forward)
            thawed = self._freezer.thaw(state, run.device)
            for slot, snapshot in thawed["techniques"].items():
                self._chain.slots[slot].restore(step, snapshot)
            run.schedule.restore(thawed["schedule"])
            for source, kept in zip(run.generators, thawed["generators"], strict=True):
                source.set_state(kept)
        self.path.extend(part.to(run.device) for part in past[:count])
        self._states = {number: states[number] for number in usable if number <= count}
        self._reused = count
        return latents

    def _back(self, fresh: Any, after_setup: Sequence[Tensor]) -> None:
        """As before `begin`."""
        run = self._run
        run.schedule = fresh
        fresh.bind(run.generators)
        run.forget()
        for technique in run.techniques:
            technique.setup(run)
        for source, state in zip(run.generators, after_setup, strict=True):
            source.set_state(state)
        del self.path[1:]
        self._states, self._reused = {}, 0

    def after_step(self) -> None:
        """Keep the state that the newest latents of `path` belong to."""
        count = len(self.path) - 1
        if self._stopped or count > len(self._chain.keys):
            return
        if count % self._every == 0:
            try:
                state = self._freezer.freeze(self._state())
            except NoHistory as reason:
                log.debug("states after step %d on are not kept: %s", count, reason)
                self._stopped = True
                return
            self._states[count] = {**state, "generators": [source.get_state() for source in self._run.generators]}
            if len(self._states) == 1:
                size = nbytes(self._states[count]) * self._run.schedule.calls
                self._every = max(1, -(-size // self._limit))
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()

    def _state(self) -> dict[str, Any]:
        run = self._run
        found = {}
        for slot, technique in self._chain.slots.items():
            if run.state_of(technique) is None:
                continue
            if not overrides(technique, "snapshot"):
                raise NoHistory(f"{type(technique).__name__} has a state and no snapshot")
            snapshot = technique.snapshot(run)
            if snapshot is not None:
                found[slot] = snapshot
        return {"techniques": found, "schedule": run.schedule.snapshot()}

    def save(self) -> None:
        """Hand the steps made so far over to where later runs look for them."""
        self._saved = time.monotonic()
        count = min(len(self.path) - 1, len(self._chain.keys))
        if count <= self._reused:
            return
        states = {number: self._freezer.store(part) for number, part in self._states.items() if number <= count}
        value = {"path": [latents.cpu() for latents in self.path[1 : count + 1]], "states": states}
        calls = self._run.schedule.calls
        usable = count if count == calls else max(states, default=0)
        self._resume.trails.put(self._chain.base, self._chain.keys[:count], value, usable=usable, of=calls)
