"""The trainer: cancelled, shared, damaged, out of memory, off the numbers, and out of room on the disk."""

from __future__ import annotations

import errno
import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.nodes.training.toy import Toy
from tests.nodes.training.train_case import Told, context
from weft.engine import Cancelled, CancelToken
from weft.nodes.training import checkpoints, trainer
from weft.nodes.training.checkpoints import Checkpoints
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.recipe import Samples
from weft.nodes.training.trainer import Goal, Trained, train
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter, Checkpoint

GOAL = Goal(6, 0.1, batch=2, seed=3)
OPTIONS = TrainOptions(accumulation=2, ema=0.5, checkpoint_every=2)


def same(one: Adapter, other: Adapter) -> bool:
    return all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())


def same_curve(one: Trained, other: Trained) -> bool:
    names = one.curve.columns.keys()
    return names == other.curve.columns.keys() and all(one.curve.column(k) == other.curve.column(k) for k in names)


def at(number: int, what: Callable[[], None]) -> Callable[[Samples], None]:
    """Call something before the forward of some number, from 1."""
    count = 0

    def before(samples: Samples) -> None:
        nonlocal count
        count += 1
        if count == number:
            what()

    return before


def steps_in(cache: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in cache.glob("*/step-*"))


@pytest.mark.parametrize("micro_step", range(1, 13))
def test_cancelled_at_any_micro_step_it_goes_on_from_the_last_whole_step(micro_step: int, cache: Path) -> None:
    straight = train(Toy(), GOAL, OPTIONS, context(None))
    token = CancelToken()
    first = Toy(before=at(micro_step, token.cancel))
    with pytest.raises(Cancelled):
        train(first, GOAL, OPTIONS, context(cache, cancel=token))
    done = micro_step // 2
    assert steps_in(cache)[-1:] == ([done] if done else [])
    told, again = Told(), Toy()
    resumed = train(again, GOAL, OPTIONS, context(cache, told))
    assert again.seen == [(2 * k, 2 * k + 1) for k in range(2 * done, 12)]
    assert told.of("resumed") == ([{"steps": done, "total": 6}] if done else [])
    assert same(straight.adapter, resumed.adapter)
    assert same_curve(straight, resumed)


def test_cancelled_twice_it_is_as_if_once(cache: Path) -> None:
    token = CancelToken()

    def twice() -> None:
        token.cancel()
        token.cancel()

    with pytest.raises(Cancelled):
        train(Toy(before=at(7, twice)), GOAL, OPTIONS, context(cache, cancel=token))
    with pytest.raises(Cancelled):
        train(Toy(), GOAL, OPTIONS, context(cache, cancel=token))
    assert steps_in(cache) == [2, 3]
    assert same(train(Toy(), GOAL, OPTIONS, context(cache)).adapter, train(Toy(), GOAL, OPTIONS, context(None)).adapter)


def test_more_steps_go_on_from_fewer_and_fewer_are_had_for_nothing(cache: Path) -> None:
    first, second, third = Toy(), Toy(), Toy()
    five = train(first, Goal(5, 0.1, 2), TrainOptions(), context(cache))
    eight = train(second, Goal(8, 0.1, 2), TrainOptions(), context(cache))
    assert (len(first.seen), len(second.seen)) == (5, 3)
    assert same(eight.adapter, train(Toy(), Goal(8, 0.1, 2), TrainOptions(), context(None)).adapter)
    assert eight.curve.column("loss")[0] == list(range(1, 9))
    again = train(third, Goal(5, 0.1, 2), TrainOptions(), context(cache))
    assert third.seen == []
    assert same(again.adapter, five.adapter)
    assert same_curve(again, five)


def test_a_step_in_the_middle_that_was_saved_is_had_for_nothing(cache: Path) -> None:
    options = TrainOptions(checkpoint_every=2, keep_every=4)
    train(Toy(), Goal(12, 0.1), options, context(cache))
    assert steps_in(cache) == [4, 8, 10, 12]
    middle = Toy()
    found = train(middle, Goal(8, 0.1), options, context(cache))
    assert middle.seen == []
    assert same(found.adapter, train(Toy(), Goal(8, 0.1), options, context(None)).adapter)


def test_a_shorter_training_beside_a_longer_one_keeps_its_own_checkpoints(cache: Path) -> None:
    train(Toy(), Goal(20, 0.1), TrainOptions(), context(cache))
    token, options = CancelToken(), TrainOptions(checkpoint_every=1)
    with pytest.raises(Cancelled):
        train(Toy(before=at(6, token.cancel)), Goal(10, 0.1), options, context(cache, cancel=token))
    rest = Toy()
    train(rest, Goal(10, 0.1), TrainOptions(), context(cache))
    assert len(rest.seen) == 10 - 6
    assert 20 in steps_in(cache)


def test_a_horizon_parts_trainings_and_the_same_one_shares_them(cache: Path) -> None:
    def steps(count: int, **options: Any) -> int:
        toy = Toy()
        train(toy, Goal(count, 0.1), TrainOptions(schedule="cosine", **options), context(cache))
        return len(toy.seen)

    assert [steps(4), steps(6)] == [4, 6]
    assert [steps(4, horizon=8), steps(6, horizon=8)] == [4, 2]
    assert steps(6, horizon=8, validate_every=2, keep_every=5) == 0


@pytest.mark.parametrize("change", [{"rate": 0.2}, {"batch": 1}, {"seed": 1}])
def test_what_is_learned_otherwise_is_another_training(change: dict[str, Any], cache: Path) -> None:
    train(Toy(), Goal(3, 0.1, 2), TrainOptions(), context(cache))
    toy = Toy()
    train(toy, Goal(**({"steps": 3, "rate": 0.1, "batch": 2} | change)), TrainOptions(), context(cache))
    assert len(toy.seen) == 3


@pytest.mark.parametrize("how", ["cut", "changed", "no meta", "no tensors", "bad meta"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    how: str, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    options = TrainOptions(checkpoint_every=2)
    straight = train(Toy(), Goal(6, 0.1), options, context(cache))
    (newest,) = cache.glob("*/step-00000006")
    tensors, meta = newest / checkpoints.TENSORS, newest / checkpoints.META
    data = bytearray(tensors.read_bytes())
    match how:
        case "cut":
            tensors.write_bytes(data[:-5])
        case "changed":
            data[-1] ^= 1
            tensors.write_bytes(data)
        case "no meta":
            meta.unlink()
        case "no tensors":
            tensors.unlink()
        case _:
            meta.write_bytes(meta.read_bytes()[:-9])
    toy = Toy()
    with caplog.at_level(logging.WARNING):
        again = train(toy, Goal(6, 0.1), options, context(cache))
    assert len(toy.seen) == 2
    assert same(straight.adapter, again.adapter)
    assert any("step-00000006" in record.getMessage() for record in caplog.records)


def test_a_checkpoint_by_wire_goes_on_to_the_bit_with_its_curve(cache: Path) -> None:
    first = train(Toy(), Goal(4, 0.1, 2), OPTIONS, context(cache))
    toy = Toy()
    onward = train(toy, Goal(7, 0.1, 2, start=first.checkpoint), OPTIONS, context(cache))
    assert len(toy.seen) == 2 * 3
    straight = train(Toy(), Goal(7, 0.1, 2), OPTIONS, context(None))
    assert same(onward.adapter, straight.adapter)
    assert same_curve(onward, straight)


def test_a_checkpoint_by_wire_may_go_on_with_other_options(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = train(Toy(), Goal(4, 0.1), TrainOptions(), context(cache))
    onward = train(Toy(), Goal(6, 0.1, start=first.checkpoint), TrainOptions(optimizer="sgd"), context(cache))
    assert "begins with nothing" in caplog.text
    assert onward.curve.column("loss")[0] == [1, 2, 3, 4, 5, 6]
    slow = train(Toy(), Goal(6, 1e-9, start=first.checkpoint), TrainOptions(weight_decay=0.0), context(cache))
    for name, tensor in first.adapter.tensors.items():
        torch.testing.assert_close(slow.adapter.tensors[name], tensor, rtol=1e-5, atol=1e-6)


def test_a_checkpoint_of_another_training_is_refused(cache: Path, tmp_path: Path) -> None:
    first = train(Toy(), Goal(4, 0.1), TrainOptions(), context(cache)).checkpoint

    def refused(start: Checkpoint, words: str, width: int = 3, steps: int = 6) -> None:
        with pytest.raises(TrainingError, match=words):
            train(Toy(width=width), Goal(steps, 0.1, start=start), TrainOptions(), context(cache))

    refused(Checkpoint("lora", 4, first.folder, first.digest), "of a lora training, and this one is toy")
    refused(first, r"other weights than this training: .*rank", width=4)
    refused(first, "of step 4 and this training has 3 steps", steps=3)
    refused(Checkpoint("toy", 4, first.folder, "0" * 40), "another one than was handed over")
    refused(Checkpoint("toy", 4, str(tmp_path / "none"), first.digest), "of step 4 is gone: .* one step more")
    refused(Checkpoint("toy", 4, "", ""), "could not be written")


def test_a_loss_that_is_no_number_stops_it_and_spoils_no_checkpoint(cache: Path) -> None:
    toy = Toy()

    def spoil() -> None:
        with torch.no_grad():
            toy.line.fill_(float("nan"))

    toy.before = at(6, spoil)
    with pytest.raises(TrainingError, match=r"the loss of step 6 is nan: the checkpoint of step 4 is sound"):
        train(toy, Goal(9, 0.1), TrainOptions(checkpoint_every=2), context(cache))
    assert steps_in(cache) == [2, 4]
    rest = Toy()
    assert same(
        train(rest, Goal(9, 0.1), TrainOptions(checkpoint_every=2), context(cache)).adapter,
        train(Toy(), Goal(9, 0.1), TrainOptions(), context(None)).adapter,
    )
    assert len(rest.seen) == 5


def test_weights_that_are_no_numbers_are_not_saved_though_the_loss_was_one(cache: Path) -> None:
    with pytest.raises(TrainingError, match=r"the weight line of step 1 is nan"):
        train(Toy(), Goal(4, 1e38), TrainOptions(optimizer="sgd", clip_norm=0, checkpoint_every=1), context(cache))
    assert steps_in(cache) == []


NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=lambda error: type(error).__name__)
def test_out_of_memory_halves_the_batch_and_learns_the_same(error: Exception, cache: Path) -> None:
    def too_large(samples: Samples) -> None:
        # The second batch of a step: gradients of the first one are there.
        if len(samples) > 2 and samples.numbers[0] >= 8:
            raise error

    goal, options, told = Goal(4, 0.1, batch=8), TrainOptions(accumulation=2), Told()
    toy = Toy(before=too_large)
    found = train(toy, goal, options, context(cache, told))
    whole = train(Toy(), goal, options, context(None))
    for name, tensor in whole.adapter.tensors.items():
        torch.testing.assert_close(found.adapter.tensors[name], tensor, rtol=1e-5, atol=1e-6)
    assert [len(numbers) for numbers in toy.seen] == [8, 4, 4, *[2] * 8 * 4]
    assert [data["samples"] for data in told.of("train.phase")] == [4, 2]
    again = train(Toy(), Goal(5, 0.1, batch=8), options, context(cache))
    assert again.curve.column("loss")[0] == [1, 2, 3, 4, 5]


def test_out_of_memory_with_one_sample_says_what_to_do(cache: Path) -> None:
    def never(samples: Samples) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(TrainingError, match=r"step 1, with a single sample .* gradient_checkpointing"):
        train(Toy(before=never), Goal(4, 0.1, batch=4), TrainOptions(), context(cache))


def test_another_error_is_not_taken_for_it(cache: Path) -> None:
    def wrong(samples: Samples) -> None:
        raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="size mismatch"):
        train(Toy(before=wrong), Goal(4, 0.1, batch=4), TrainOptions(), context(cache))


def test_a_full_disk_loses_a_checkpoint_and_nothing_else(
    cache: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before, told, options = checkpoints._write_meta, Told(), TrainOptions(checkpoint_every=2)
    straight = train(Toy(), Goal(6, 0.1), options, context(None))

    def full(folder: Path, meta: Any) -> None:
        if meta["step"] > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        before(folder, meta)

    monkeypatch.setattr(checkpoints, "_write_meta", full)
    monkeypatch.setattr(Checkpoints, "add_to_curve", lambda self, rows: full(Path(), {"step": 3}))
    found = train(Toy(), Goal(6, 0.1), options, context(cache, told))
    assert same(found.adapter, straight.adapter)
    assert found.curve.column("loss") == straight.curve.column("loss")
    assert "No space" in caplog.text
    assert [(data["step"], "failed" in data) for data in told.of("train.checkpoint")] == [
        (2, False),
        (4, True),
        (6, True),
    ]
    assert steps_in(cache) == [2]
    assert list(cache.glob("*/.step-*")) == []
    assert found.checkpoint.folder == ""
    assert caplog.text.count("the curve cannot be written") == 1
    monkeypatch.undo()
    rest = Toy()
    assert same(train(rest, Goal(6, 0.1), options, context(cache)).adapter, straight.adapter)
    assert len(rest.seen) == 4


def test_two_at_once_of_one_training_make_its_steps_once(cache: Path) -> None:
    begun, go = threading.Event(), threading.Event()

    def pause() -> None:
        begun.set()
        assert go.wait(60)

    first, second, results = Toy(before=at(2, pause)), Toy(), {}

    def run(name: str, toy: Toy) -> None:
        results[name] = train(toy, Goal(4, 0.1), TrainOptions(), context(cache))

    threads = [
        threading.Thread(target=run, args=("first", first)),
        threading.Thread(target=run, args=("second", second)),
    ]
    threads[0].start()
    assert begun.wait(60)
    threads[1].start()
    go.set()
    for thread in threads:
        thread.join(60)
    assert (len(first.seen), len(second.seen)) == (4, 0)
    assert same(results["first"].adapter, results["second"].adapter)


def test_it_is_validated_by_what_comes_out_and_learns_the_same(cache: Path) -> None:
    options, toy = TrainOptions(ema=0.9, validate_every=2), Toy()
    found = train(toy, Goal(5, 0.1), options, context(cache))
    assert found.curve.column("validation_loss")[0] == [0, 2, 4, 5]
    assert toy.validated[-1] == pytest.approx(float((found.adapter.tensors["line"] - 2).square().mean()), rel=1e-6)
    assert same(found.adapter, train(Toy(), Goal(5, 0.1), TrainOptions(ema=0.9), context(None)).adapter)


def test_validations_of_a_shorter_training_and_of_other_noise_are_left_out_of_a_curve(cache: Path) -> None:
    train(Toy(), Goal(5, 0.1), TrainOptions(validate_every=2), context(cache))
    longer = train(Toy(), Goal(8, 0.1), TrainOptions(validate_every=2), context(cache))
    assert longer.curve.column("validation_loss")[0] == [0, 2, 4, 6, 8]
    other = train(Toy(), Goal(9, 0.1), TrainOptions(validate_every=3, validation_seed=1), context(cache))
    assert other.curve.column("validation_loss")[0] == [9]
    assert "validation_loss" not in train(Toy(), Goal(8, 0.1), TrainOptions(), context(cache)).curve.columns


def test_reports_carry_all_losses_in_blocks_and_the_bar_says_the_loss(cache: Path) -> None:
    told = Told()
    found = train(Toy(), Goal(600, 0.01), TrainOptions(), context(cache, told))
    blocks = told.of("train.steps")
    assert blocks[0]["first"] == 1
    assert [len(block["losses"]) == block["step"] - block["first"] + 1 for block in blocks] == [True] * len(blocks)
    losses = [loss for block in blocks for loss in block["losses"]]
    assert losses == pytest.approx(found.curve.column("loss")[1], abs=1e-6)
    assert len(blocks) < 100
    assert told.of("progress")[-1]["message"].startswith("loss ")
    assert {"loss_smoothed", "steps_per_second", "seconds_left", "learning_rate", "gradient_norm"} <= blocks[-1].keys()


def test_rates_of_unknown_groups_name_those_that_there_are(cache: Path) -> None:
    with pytest.raises(TrainingError, match=r"names lines, and .* the groups line, offset\. Is line meant\?"):
        train(Toy(), GOAL, TrainOptions(rates={"lines": 1.0}), context(cache))
    slow = train(Toy(), GOAL, TrainOptions(rates={"offset": 0.0}), context(cache))
    assert slow.adapter.tensors["line"].any()
    assert not slow.adapter.tensors["offset"].any()


def test_checkpoints_by_time_take_little_of_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, before = [0.0], Checkpoints.save

    def save(self: Checkpoints, *given: Any) -> Any:
        clock[0] += 10.0
        return before(self, *given)

    def tick(samples: Samples) -> None:
        clock[0] += 1.0

    monkeypatch.setattr(trainer.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(Checkpoints, "save", save)
    told = Told()
    train(Toy(before=tick), Goal(500, 0.01), TrainOptions(), context(cache, told))
    # After 30 s the first time, and then, as one takes 10 s, not within 200 s.
    assert [data["step"] for data in told.of("train.checkpoint")] == [31, 232, 433, 500]


def test_a_final_checkpoint_that_is_there_is_only_marked(cache: Path) -> None:
    train(Toy(), Goal(4, 0.1), TrainOptions(checkpoint_every=2), context(cache))
    found = train(Toy(), Goal(2, 0.1), TrainOptions(), context(cache))
    meta = json.loads((Path(found.checkpoint.folder) / checkpoints.META).read_text("utf-8"))
    assert meta["final"] is True
    train(Toy(), Goal(12, 0.1), TrainOptions(checkpoint_every=2), context(cache))
    assert steps_in(cache) == [2, 4, 10, 12]


class Shaped(Toy):
    """The numbers of a LoRA of rank 4 on the attention layers of Stable Diffusion 1.5, by their names."""

    def __init__(self) -> None:
        super().__init__()
        widths = [320, 320, 640, 640, 1280, 1280, 1280, 1280, 1280, 1280, 640, 640, 640, 320, 320, 320]
        self.many: dict[str, torch.nn.Parameter] = {}
        for block, width in enumerate(widths):
            for attention, own in (("attn1", width), ("attn2", 768)):
                for layer in ("to_q", "to_k", "to_v", "to_out.0"):
                    name = (
                        f"unet.down_blocks.{block // 3}.attentions.{block % 3}.transformer_blocks.{block}.{attention}"
                    )
                    wide = own if layer in ("to_k", "to_v") else width
                    self.many[f"{name}.{layer}.lora_A.weight"] = torch.nn.Parameter(torch.zeros(4, wide))
                    self.many[f"{name}.{layer}.lora_B.weight"] = torch.nn.Parameter(torch.zeros(width, 4))

    def groups(self) -> dict[str, dict[str, torch.nn.Parameter]]:
        return {"unet": self.many}

    def losses(self, samples: Samples) -> torch.Tensor:
        total = torch.stack([(parameter - 1).square().mean() for parameter in self.many.values()]).sum()
        return total * torch.ones(len(samples))


def test_a_checkpoint_is_at_most_three_times_its_adapter(cache: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    found = train(Shaped(), Goal(2, 0.1), TrainOptions(), context(cache))
    save_file(found.adapter.tensors, tmp_path / "adapter.safetensors")
    adapter = (tmp_path / "adapter.safetensors").stat().st_size
    whole = sum(path.stat().st_size for path in Path(found.checkpoint.folder).iterdir())
    assert adapter > 3_000_000
    assert whole <= 3 * adapter
