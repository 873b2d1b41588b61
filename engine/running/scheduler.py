"""Carries out a plan: what is ready goes to its lane, what is done goes to its users and to the cache.

One thread, that which calls `run`, owns all of this; others put what happened into its mail.
"""

from __future__ import annotations

import contextlib
import functools
import queue
from collections.abc import Callable
from typing import Any, NoReturn

from weft.engine.cache import Cache
from weft.engine.catalogue.code import is_ours
from weft.engine.declaring.context import Context
from weft.engine.declaring.following import CancelToken
from weft.engine.errors import Cancelled
from weft.engine.planning.doubts import Doubts
from weft.engine.planning.expansion import Expansion
from weft.engine.planning.plan import Plan
from weft.engine.planning.steps import DONE, IDLE, RUNNING, UNFOLDED, WAITING, Step
from weft.engine.planning.unfold import Bounds
from weft.engine.running.absent import Absent
from weft.engine.running.calls import Demand, Inputs, Pause, Yielded, as_outputs
from weft.engine.running.deliveries import Deliveries
from weft.engine.running.demands import Demands
from weft.engine.running.deputy import Deputy
from weft.engine.running.devices import Devices, RunSlots
from weft.engine.running.emitter import Emitter
from weft.engine.running.executor import Done, Executor, Task, call
from weft.engine.running.failures import Failures, OnFailure
from weft.engine.running.intermediates import Intermediates
from weft.engine.running.lanes import PROBE_SECONDS, Lane, Lanes, LaneSizes, Pace
from weft.engine.running.reads import Read, Reads
from weft.engine.running.reporter import Reporter
from weft.engine.running.shared_work import SharedWork
from weft.engine.running.storing import Storing
from weft.engine.running.unfolding import Unfolding
from weft.engine.running.waiting import Waiting
from weft.engine.values import Outputs

Mail = Done | Demand | Pause | Read | int | None
"""What others tell: an int is the number of a step whose key no other run computes any more; None says: look up."""


class Scheduler:
    """One attempt at a plan, in the thread that calls `run`.

    Args:
        stop: what nodes look at; cancelled when the run is, and when another node failed.
        make_context: the Context for a step.
        on_output: called with each target's step and result as soon as it is there, and with each item of a target
            that runs per item.
        on_failure: see `Failures`.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        cache: Cache,
        executor: Executor,
        emitter: Emitter,
        cancel: CancelToken,
        stop: CancelToken,
        make_context: Callable[[Step], Context],
        on_output: Callable[[Step, Outputs], None],
        on_failure: OnFailure | None = None,
        sizes: LaneSizes,
        devices: Devices,
        bounds: Bounds,
        debug: bool = False,
    ) -> None:
        self.plan = plan
        self.executor = executor
        self.cancel = cancel
        self.stop = stop
        self.make_context = make_context
        self.report = Reporter(emitter, plan, cache.history)
        self.intermediates = Intermediates(plan)
        self.mail: queue.SimpleQueue[Mail] = queue.SimpleQueue()
        self.storing = Storing(cache, self.mail.put)
        self.slots = RunSlots(devices, lambda: self.mail.put(None))
        self.lanes = Lanes(sizes, self.slots)
        self.flying: dict[int, Lane | None] = {}
        """The lane of each call in flight; None while it waits for a lazy input."""
        self.waiting = Waiting(plan, self.intermediates, self.lanes, self.report, self.storing.find)
        self.demands = Demands(self.waiting, self.intermediates, self.lanes, self.flying, self.mail)
        self._inputs = Inputs(plan, self.intermediates.results, self.demands.ask, debug)
        self._failures = Failures(self.report, self._inputs, on_failure)
        self._retries = self._failures.retries
        self._deliveries = Deliveries(plan, self.intermediates, self.report, on_output)
        self._unfolding = Unfolding(
            plan, self.waiting, self.intermediates, self._inputs, self._deliveries, self.report, bounds
        )
        self._doubts = Doubts(plan, self._unfolding.open)
        self._reads = Reads(self.storing, self.mail.put)
        self._shared = SharedWork(plan, self.storing, self.intermediates, self.waiting, self.report)
        self._pace = Pace()
        self._is_remote = False  # whether the executor said that tasks run where the scheduler is not
        self._deputy = Deputy(self._go_on, self._take_over, self.mail.put)
        plan.on_move = self._unfolding.moved

    def run(self) -> None:
        """Bring every target's result about.

        Raises:
            NodeError: a node failed, and the run does not go on after that. Nothing is in flight any more.
            Cancelled: the token was cancelled, or a node said so.
        """
        try:
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
                    self._reads.close()
                    self._deputy.close()
        finally:
            self.storing.end()
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
            self._attend(steps[number], self._start)
        if not self.lanes.device.heap:
            self.slots.put_back()  # another run may need the device to compute what this one waits for
        if not self.flying and not self._reads.open and not self._shared.elsewhere and not self._retries:
            if lanes.count:
                if self.slots.pending:  # another run has the device
                    self._collect(None)
                return True
            if any(self.plan.original(number).state != DONE for number in self.plan.targets):
                self._stuck()
            return False
        waits = self.flying and all(lane is None for lane in self.flying.values()) and not self.demands.away
        others = lanes.waiting or self.slots.pending or self._reads.open or self._shared.elsewhere or self._retries
        if waits and self.mail.empty() and not others:
            # Every node in flight waits for an input, and none of these is on its way.
            self._stuck()
        self._collect(self._retries.seconds)
        for number in self._retries.due():
            self.waiting.push(steps[number])
        return True

    def _attend(self, step: Step, see_to: Callable[..., None], *about: Any) -> None:
        """Do what is to be done for a step. When it fails, the run ends, or goes on without it."""
        try:
            see_to(step, *about)
        except Exception as error:  # perhaps not the node's fault, but this is where it came to pass
            self._give_up(step, self._failures.go_on(step, error))

    # -- a step begins

    def _start(self, step: Step) -> None:
        if step.tier is not None:
            if step.tier == "disk" and (self.flying or self.lanes.count or self._reads.open):
                self._reads.read(step)
            else:
                self._hit(step, self.storing.get(step))
        elif step.state == UNFOLDED:
            self._complete(step, self._unfolding.gathered(step))
        elif step.late and self._shared.settled(step):
            return
        elif self.intermediates.absent and (absent := self._inputs.absent(step)) is not None:
            self._skip(step, absent)
        elif self.intermediates.absent and (failed := self._failures.before(step)) is not None:
            self._give_up(step, failed)
        elif step.region is not None:
            self._unfolding.unfold(step, None)
        elif step.type.needs is None or not self.demands.foreseen(step, self._inputs):
            self._call(step)

    def _hit(self, step: Step, outputs: Outputs | None) -> None:
        """A result was read from the cache; None where it is not there after all, so that it has to be computed."""
        if outputs is not None:
            self._deliver(step, outputs)
            return
        step.tier, step.state = None, IDLE
        self.waiting.need([step.number])

    def _call(self, step: Step) -> None:
        if self._shared.before_call(step):
            return
        node_type = step.type
        self.report.started(step)
        inputs, is_open = self._inputs.of(step)
        context = self.make_context(step) if node_type.context_parameter else None
        if context is not None and node_type.context_parameter is not None:
            inputs[node_type.context_parameter] = context
            if node_type.resource == "device":
                context.on_yield = functools.partial(Yielded, step.number, self.mail.put)
        sources = self._inputs.sources(step)
        task = Task(step.number, node_type, inputs, context, timeout=_limit(step), sources=sources)
        step.state = RUNNING
        hands_on = bool(node_type.flow) and is_ours(node_type)
        quick = self._pace.is_quick(node_type)
        alone = not self.flying and not self.lanes.count
        on_device = node_type.resource == "device"
        here = not node_type.is_async and not is_open and task.timeout is None and not (on_device and context)
        if here and (hands_on or alone or (quick and not self._deputy.leads)):
            if hands_on or alone:  # nothing waits for its end but what needs it
                done = call(task) if hands_on else self.executor.call(task)
            else:
                done, taken_over = self._deputy.call(task, self.executor.call)
                if taken_over:
                    self.demands.led_here()
                    if done is None:
                        self._submit(task)
                    return
            if done is not None:
                if on_device:
                    self.slots.put_back()  # others may have asked for it
                del task, inputs, context  # a failure keeps this frame, which is not to keep the node's values
                self._pace.saw(node_type, done.seconds)
                self._finish(step, done)
                return
            self._is_remote = True
        self._enter(task)
        self._submit(task)
        if quick is None and not node_type.is_async and not self._is_remote:
            del task, inputs, context
            self._collect(PROBE_SECONDS)
            if step.number in self.flying:
                self._pace.saw(node_type, PROBE_SECONDS)

    def _take_over(self, task: Task) -> None:
        """A call that this run made itself has not come back: from now on it is one in flight."""
        self._enter(task)
        self._pace.saw(task.type, PROBE_SECONDS)
        self.demands.led_here()

    def _enter(self, task: Task) -> None:
        """A call is in flight."""
        lane = self.flying[task.number] = self.lanes.of(task.type)
        self.lanes.enter(lane, task.number)

    def _submit(self, task: Task) -> None:
        """Have a call in flight made elsewhere."""
        on_device = task.type.resource == "device"
        task.slot = self.slots.of(task.number) if on_device else None
        try:
            self.executor.submit(task, self._device_done if on_device else self.mail.put)
        except BaseException:  # nobody will report its end
            self.lanes.leave(self.lanes.of(task.type), task.number)
            del self.flying[task.number]
            raise

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
            else:
                self._take(mail)
            del mail
            self.lanes.resume()
            try:
                mail = self.mail.get_nowait()
            except queue.Empty:
                return

    def _take(self, mail: Done | Demand | Pause | Read | int) -> None:
        if isinstance(mail, Done):
            lane = self.flying.pop(mail.number)
            if lane is not None:
                self.lanes.leave(lane, mail.number)
            self.demands.away.discard(mail.number)
            step = self.plan.steps[mail.number]
            self._pace.saw(step.type, mail.seconds)
            self._attend(step, self._finish, mail)
        elif isinstance(mail, Read):
            self._reads.open -= 1
            self._attend(self.plan.steps[mail.number], self._hit, mail.outputs)
        elif isinstance(mail, int):
            self._shared.no_longer_elsewhere(mail)
        else:
            self.demands.take(mail)

    # -- a step ends

    def _finish(self, step: Step, done: Done) -> None:
        step.seconds, step.imports = done.seconds, done.imports
        if done.error is not None:
            self._failed(step, done.error)
            return
        self._doubts.look(step)
        if type(done.value) is Expansion:
            self.storing.over(step)  # another run gets as far by itself, and then meets the claims of what is in it
            self._unfolding.unfold(step, done.value)
            return
        outputs = as_outputs(step.type, done.value)
        done.value = None
        self._complete(step, outputs)

    def _failed(self, step: Step, error: BaseException) -> None:
        if isinstance(error, (Cancelled, KeyboardInterrupt)):
            raise error
        if self.intermediates.absent and (absent := self._failures.passed_on(step, error)) is not None:
            self._skip(step, absent)
        elif self._failures.again(step, error):
            step.state = WAITING
        else:
            self._fail(step, error)

    def _skip(self, step: Step, absent: Absent) -> None:
        """A step is not computed, since something that it needs is absent."""
        self.report.skipped(step, absent)
        self._give_up(step, absent)

    def _give_up(self, step: Step, absent: Absent) -> None:
        """A step has no result."""
        self.storing.over(step)
        if step.state != UNFOLDED:
            self.intermediates.release_all(step)
        self._deliver(step, (absent,) * len(step.type.outputs))

    def _complete(self, step: Step, outputs: Outputs) -> None:
        self.storing.put(step, outputs, step.seconds)
        self.storing.over(step)
        self.report.finished(step, step.seconds)
        if step.state != UNFOLDED:  # else it let go when it unfolded
            self.intermediates.release_all(step)
        self._deliver(step, outputs)

    def _deliver(self, step: Step, outputs: Outputs) -> None:
        if step.type.content_key and not self.storing.note_content(step, outputs):
            step.use("other content")
            self._doubts.look(step)
        self.intermediates.put(step, outputs)
        self.report.delivered(step)
        self._deliveries.tell(step, outputs)
        self._unfolding.ended(step)
        for demand in self.waiting.done(step):
            self.demands.met(demand)

    # -- the end

    def _stuck(self) -> NoReturn:
        """Steps wait for each other. No document can bring that about, graphs that nodes return can."""
        steps = self.plan.steps
        step = next((steps[number] for number in (*self._unfolding.open, *self.flying)), steps[-1])
        self._fail(step, RuntimeError("what it returned waits for itself: it would never end"))

    def _fail(self, step: Step, cause: BaseException) -> NoReturn:
        raise self._failures.of(step, cause) from cause

    def _abandon(self) -> None:
        """Stop what is in flight and wait for it; keep what was finished meanwhile."""
        self.stop.cancel()
        self.executor.stop()
        self.demands.refuse()
        while self.flying:
            mail = self.mail.get()
            if isinstance(mail, (Demand, Pause)):
                mail.reply(Cancelled("the run was cancelled"))
            elif isinstance(mail, Done):
                self.flying.pop(mail.number, None)
                step = self.plan.steps[mail.number]
                if mail.error is None and self._doubts.look(step) and type(mail.value) is not Expansion:
                    with contextlib.suppress(TypeError):  # not what the node declares: the run has failed already
                        self.storing.put(step, as_outputs(step.type, mail.value), mail.seconds)
            del mail
        self.intermediates.results.clear()


def _limit(step: Step) -> float | None:
    """How many seconds a call may take."""
    spec = step.scope.specs.get(step.id)
    return step.type.timeout if spec is None or spec.timeout is None else spec.timeout
