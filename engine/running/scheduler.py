"""Carries out a plan: what is ready goes to its lane, what is done goes to its users and to the cache.

One thread, that which calls `run`, owns all of this; others put what happened into its mail.
"""

from __future__ import annotations

import functools
import logging
import queue
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from weft.engine.cache import Cache
from weft.engine.catalogue.code import is_ours
from weft.engine.declaring.context import CancelToken, Context
from weft.engine.errors import Cancelled, NodeError
from weft.engine.events import Tier
from weft.engine.planning.expansion import Expansion
from weft.engine.planning.parts import WHOLE_BYTES, bounded
from weft.engine.planning.plan import Plan
from weft.engine.planning.steps import DONE, RUNNING, UNFOLDED, WAITING, Scope, Step
from weft.engine.planning.unfold import Bounds, Unfolded, gather, unfold_graph, unfold_region
from weft.engine.running.calls import Demand, Inputs, Pause, Yielded, as_outputs
from weft.engine.running.deliveries import Deliveries
from weft.engine.running.demands import Demands
from weft.engine.running.devices import Devices, RunSlots
from weft.engine.running.emitter import Emitter
from weft.engine.running.executor import Done, Executor, Task, call
from weft.engine.running.intermediates import Intermediates
from weft.engine.running.lanes import PROBE_SECONDS, Lane, Lanes, LaneSizes, Pace
from weft.engine.running.reporter import Reporter
from weft.engine.running.waiting import Waiting
from weft.engine.values import Outputs

log = logging.getLogger("weft.run")


class StaleHit(Exception):  # noqa: N818
    """A result that the plan counted on cannot be read: plan again without it."""

    def __init__(self, key: bytes) -> None:
        self.key = key


_ENDS = (NodeError, StaleHit)


class Scheduler:
    """One attempt at a plan, in the thread that calls `run`.

    Args:
        find: tells where a key's result is, without loading it.
        stop: what nodes look at; cancelled when the run is, and when another node failed.
        make_context: the Context for a step.
        on_output: called with each target's step and result as soon as it is there, and with each item of a target
            that runs per item.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        cache: Cache,
        find: Callable[[bytes], Tier | None],
        executor: Executor,
        emitter: Emitter,
        cancel: CancelToken,
        stop: CancelToken,
        make_context: Callable[[Step], Context],
        on_output: Callable[[Step, Outputs], None],
        sizes: LaneSizes,
        devices: Devices,
        bounds: Bounds,
    ) -> None:
        self.plan = plan
        self.cache = cache
        self.executor = executor
        self.cancel = cancel
        self.stop = stop
        self.make_context = make_context
        self.bounds = bounds
        self.report = Reporter(emitter, plan, cache.history)
        self.intermediates = Intermediates(plan)
        self.mail: queue.SimpleQueue[Done | Demand | Pause | None] = queue.SimpleQueue()
        self.slots = RunSlots(devices, lambda: self.mail.put(None))
        self.lanes = Lanes(sizes, self.slots)
        self.flying: dict[int, Lane | None] = {}
        """The lane of each call in flight; None while it waits for a lazy input."""
        self.waiting = Waiting(plan, self.intermediates, self.lanes, self.report, find)
        self.demands = Demands(self.waiting, self.intermediates, self.lanes, self.flying, self.mail)
        self._inputs = Inputs(plan, self.intermediates.results, self.demands.ask)
        self._unfolded: dict[int, Unfolded] = {}
        self._ends: dict[int, list[Scope]] = {}
        """The scopes of single items, by the steps that they are for: then what they were given is let go."""
        self._asked: set[int] = set()  # steps whose `needs` was called
        self._pace = Pace()
        self._elsewhere = False  # whether the executor said that tasks run where the scheduler is not
        self._deliveries = Deliveries(plan, self.intermediates, self.report, on_output)
        plan.on_move = self._moved

    def run(self) -> None:
        """Bring every target's result about.

        Raises:
            NodeError: a node failed. Nothing is in flight any more.
            Cancelled: the token was cancelled, or a node said so.
            StaleHit: plan again.
        """
        for number in self.plan.targets:
            self.plan.original(number).users += 1
        self.waiting.need(self.plan.targets)
        self.report.planned()
        # `cancel` puts None into the mail, so waiting for a node ends at once.
        with self.cancel.notifying(lambda: self.mail.put(None)), self.cancel.notifying(self.stop.cancel):
            try:
                while self._go_on():
                    pass
            except BaseException:
                self._abandon()
                raise
            finally:
                self._inputs.ended = True
                self.demands.end()
                self.slots.close()
        self.report.ended()

    def _go_on(self) -> bool:
        """Start what can start, take in what ended; False when there is nothing left."""
        lanes, steps = self.lanes, self.plan.steps
        while True:
            self.cancel.check()
            if self.flying and not self.mail.empty():
                break
            number = lanes.take() if lanes.count else None
            if number is None:
                break
            step = steps[number]
            try:
                self._start(step)
            except _ENDS:
                raise
            except Exception as error:  # not the node's fault, but this is where it came to pass
                self._fail(step, error)
        if not self.flying:
            if lanes.count:
                if self.slots.pending:  # another run has the device
                    self._collect(None)
                return True
            if any(self.plan.original(number).state != DONE for number in self.plan.targets):
                self._stuck()
            return False
        waits = all(lane is None for lane in self.flying.values()) and not self.demands.away
        if waits and self.mail.empty() and not lanes.waiting and not self.slots.pending:
            # Every node in flight waits for an input, and none of these is on its way.
            self._stuck()
        self._collect(None)
        return True

    # -- a step begins

    def _start(self, step: Step) -> None:
        if step.tier is not None:
            outputs = self.cache.get(step.key)
            if outputs is None or len(outputs) != len(step.type.outputs):
                raise StaleHit(step.key)
            self._deliver(step, outputs)
        elif step.state == UNFOLDED:
            unfolded = self._unfolded.pop(step.number)
            outputs = gather(step, unfolded, self._inputs.value)
            for source in self.intermediates.originals(tuple(unfolded.roots)):
                self.intermediates.release(source)
            for scope, _ in unfolded.parts:
                self.intermediates.close(scope)
            self._complete(step, outputs)
        elif step.region is not None:
            self._unfold(step, None)
        elif step.type.needs is None or not self._ask(step):
            self._call(step)

    def _ask(self, step: Step) -> bool:
        """Have the lazy inputs computed that a node says it will ask for; False when they are there."""
        if step.number in self._asked:
            return False
        self._asked.add(step.number)
        try:
            numbers = self._inputs.wanted(step)
        except Exception as error:
            self._fail(step, error)
        step.state = WAITING
        if not self.waiting.follow(step, self.intermediates.originals(numbers)):
            return False
        self.waiting.need(numbers)
        return True

    def _call(self, step: Step) -> None:
        node_type = step.type
        self.report.started(step)
        context = self.make_context(step) if node_type.context_parameter else None
        try:
            inputs, is_open = self._inputs.of(step)
        except Exception as error:
            self._fail(step, error)
        if context is not None and node_type.context_parameter is not None:
            inputs[node_type.context_parameter] = context
            if node_type.resource == "device":
                context.on_yield = functools.partial(Yielded, step.number, self.mail.put)
        task = Task(step.number, node_type, inputs, context)
        step.state = RUNNING
        steers = bool(node_type.flow) and is_ours(node_type)
        quick = self._pace.is_quick(node_type)
        alone = not self.flying and not self.lanes.count
        on_device = node_type.resource == "device"
        if not node_type.is_async and not is_open and (steers or quick or alone) and not (on_device and context):
            done = call(task) if steers else self.executor.call(task)
            if done is not None:
                if on_device:
                    self.slots.put_back()  # others may have asked for it
                del task, inputs, context  # a failure keeps this frame, which is not to keep the node's values
                self._pace.saw(node_type, done.seconds)
                self._finish(step, done)
                return
            self._elsewhere = True
        lane = self.lanes.of(node_type)
        self.lanes.enter(lane, step.number)
        self.flying[step.number] = lane
        task.slot = self.slots.of(step.number) if on_device else None
        try:
            self.executor.submit(task, self._device_done if on_device else self.mail.put)
        except BaseException:  # nobody will report its end
            self.lanes.leave(lane, step.number)
            del self.flying[step.number]
            raise
        if quick is None and not node_type.is_async and not self._elsewhere:
            del task, inputs, context
            self._collect(PROBE_SECONDS)
            if step.number in self.flying:
                self._pace.saw(node_type, PROBE_SECONDS)

    def _device_done(self, done: Done) -> None:
        self.slots.release(done.number)  # at once, also when this run is busy with something else
        self.mail.put(done)

    # -- what others tell

    def _collect(self, timeout: float | None) -> None:
        """Take in what happened: at least one thing, or nothing for `timeout` seconds."""
        try:
            mail = self.mail.get(timeout=timeout)
        except queue.Empty:
            return
        while True:
            if mail is None:
                self.cancel.check()
            elif not isinstance(mail, Done):
                self.demands.take(mail)
            else:
                lane = self.flying.pop(mail.number)
                if lane is not None:
                    self.lanes.leave(lane, mail.number)
                self.demands.away.discard(mail.number)
                step = self.plan.steps[mail.number]
                self._pace.saw(step.type, mail.seconds)
                try:
                    self._finish(step, mail)
                except _ENDS:
                    raise
                except Exception as error:
                    self._fail(step, error)
            del mail
            self.lanes.resume()
            try:
                mail = self.mail.get_nowait()
            except queue.Empty:
                return

    # -- a step ends

    def _finish(self, step: Step, done: Done) -> None:
        step.seconds = done.seconds
        if done.error is not None:
            if isinstance(done.error, (Cancelled, KeyboardInterrupt)):
                raise done.error
            self._fail(step, done.error)
        if type(done.value) is Expansion:
            self._unfold(step, done.value)
            return
        try:
            outputs = as_outputs(step.type, done.value)
        except TypeError as error:
            self._fail(step, error)
        done.value = None
        self._complete(step, outputs)

    def _unfold(self, step: Step, graph: Expansion | None) -> None:
        """Put other steps in the place of this one, and wait for them."""
        plan = self.plan
        try:
            if graph is not None:
                unfolded = unfold_graph(plan, step, graph, self.intermediates.give, self.bounds)
            else:
                lists = [self.intermediates.results[plan.original(source).number][0] for source in step.sources]
                self.report.started(step)
                unfolded = unfold_region(plan, step, lists, self.intermediates.give, self.bounds)
        except Exception as error:
            self._fail(step, error)
        step.waiting = 0
        self._unfolded[step.number] = unfolded
        roots = self.intermediates.originals(tuple(unfolded.roots))
        for source in roots:
            source.users += 1
        waits = self.waiting.follow(step, roots)
        for (scope, _), steps in zip(unfolded.parts, unfolded.steps, strict=True):
            if scope.visible is None:
                self._deliveries.watch(steps)
        if step.region is not None:
            for scope, links in unfolded.parts:
                ends = self.intermediates.originals([scope.number(link.node) for link in links])
                scope.pending = len(ends)
                for end in ends:
                    self._ends.setdefault(end.number, []).append(scope)
        self.waiting.need([source.number for source in roots])
        self.intermediates.release_all(step)
        step.state = UNFOLDED
        if not waits:
            self.waiting.push(step)

    def _complete(self, step: Step, outputs: Outputs) -> None:
        if step.stored:
            name = step.type.name
            try:
                self.cache.put(step.key, outputs, {"type": name, "seconds": step.seconds})
                if self.cache.history is not None:
                    parts = step.parts if len(step.parts) <= WHOLE_BYTES else bounded(step.parts)
                    self.cache.history.add((name, step.shown, step.key, parts, step.seconds))
            except Exception:
                self._not_kept(step)
        self.report.finished(step, step.seconds)
        if step.state != UNFOLDED:  # else it let go when it unfolded
            self.intermediates.release_all(step)
        self._deliver(step, outputs)

    def _not_kept(self, step: Step) -> None:
        """A result could not be put into the cache: it is computed again another time, and no more."""
        log.warning("the result of %s (%s) could not be kept", step.shown, step.type.name, exc_info=True)

    def _deliver(self, step: Step, outputs: Outputs) -> None:
        self.intermediates.put(step, outputs)
        self.report.delivered(step)
        self._deliveries.tell(step, outputs)
        for scope in self._ends.pop(step.number, ()):
            scope.pending -= 1
            if not scope.pending:
                self.intermediates.close(scope)
        for demand in self.waiting.done(step):
            self.demands.met(demand)

    def _moved(self, gone: int, instead: int) -> None:
        """One step computes for those that waited for another."""
        self.waiting.moved(gone, instead)
        tables: tuple[dict[int, list[Any]], ...] = (self._ends, self._deliveries.waiting)
        for table in tables:
            if gone in table:
                table.setdefault(instead, []).extend(table.pop(gone))

    # -- the end

    def _stuck(self) -> None:
        """Steps wait for each other. No document can bring that about, graphs that nodes return can."""
        steps = self.plan.steps
        step = next((steps[number] for number in (*self._unfolded, *self.flying)), steps[-1])
        self._fail(step, RuntimeError("what it returned waits for itself: it would never end"))

    def _fail(self, step: Step, cause: BaseException) -> NoReturn:
        error = self.report.failed(step, cause)
        traceback.clear_frames(cause.__traceback__)  # or whoever keeps the error keeps all that the node had in hand
        raise error from cause

    def _abandon(self) -> None:
        """Stop what is in flight and wait for it; keep what was finished meanwhile."""
        self.stop.cancel()
        self.executor.stop()
        self.demands.refuse()
        while self.flying:
            mail = self.mail.get()
            if isinstance(mail, (Demand, Pause)):
                mail.reply(Cancelled("the run was cancelled"))
            elif mail is not None:
                self.flying.pop(mail.number, None)
                step = self.plan.steps[mail.number]
                if mail.error is None and step.stored and type(mail.value) is not Expansion:
                    try:
                        self.cache.put(step.key, as_outputs(step.type, mail.value), {"type": step.type.name})
                    except Exception:
                        self._not_kept(step)
            del mail
        self.intermediates.results.clear()
