"""What a run prints: one live line that fits, plain lines where nothing can be redrawn, a resumed run's true pace."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from luban.core import events
from luban.core.events import StepDone, TrainingStarted, Validated
from luban.report import progress
from luban.report.progress import LiveLine, Pace, Piece, fitted
from luban.report.terminal import Terminal, score_table

LONG = "mean_absolute_percentage_error"
SETTINGS = {
    "optim": {"learning_rate": 1e-3, "backbone_learning_rate": None, "optimizer": "adamw", "schedule": "cosine"},
    "batch_size": 256,
}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def console(width: int = 80, *, is_terminal: bool) -> Console:
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=is_terminal,
        color_system=None,
        highlight=False,
        legacy_windows=False,
        _environ={"TERM": "xterm"},
    )


def printed(target: Console) -> list[str]:
    assert isinstance(target.file, io.StringIO)
    return target.file.getvalue().splitlines()


def step(number: int, epoch: int = 1, rows: int = 100, tokens: int = 100, loss: float = 0.5) -> StepDone:
    return StepDone(number, epoch, loss, 1e-3, 1.0, rows, tokens, 0.01)


def started(steps: int = 1000, epochs: int = 10) -> TrainingStarted:
    return TrainingStarted(epochs, steps, 10_000, 5_000, 5_000, "float32", "cpu", SETTINGS)


def busy_pace(clock: Clock) -> Pace:
    """Deep in a long training of texts: every part of the line has its largest size."""
    pace = Pace(30, 5_000_000, clock)
    for number in range(1_000_000, 1_000_010):
        clock.now += 0.1
        pace.step(step(number, epoch=12, rows=1_234, tokens=123_456, loss=12.3456))
    pace.checkpoint = 1_000_000
    return pace


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
@pytest.mark.parametrize("device", [None, 123_400_000_000])
def test_the_live_line_is_one_line_at_any_width(
    width: int, device: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "device_memory", lambda: device)
    monkeypatch.setattr(progress, "resident_memory", lambda: 12_300_000_000)
    target = console(width, is_terminal=True)
    target.print(LiveLine(busy_pace(Clock())))
    (line,) = printed(target)
    assert len(line) <= width
    assert "epoch 12" in line
    if width >= 40:
        assert "loss 12.3456" in line


def test_at_80_columns_it_shows_loss_pace_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "device_memory", lambda: None)
    monkeypatch.setattr(progress, "resident_memory", lambda: 1_200_000_000)
    clock, target = Clock(), console(80, is_terminal=True)
    pace = Pace(3, 1000, clock)
    for number in range(10):
        clock.now += 1.0
        pace.step(step(number, tokens=5_200))
    target.print(LiveLine(pace))
    (line,) = printed(target)
    assert line.rstrip().endswith("loss 0.5000  100 rows/s  5.2 k tok/s  16:30 left  1.2 GB")
    assert line.startswith("epoch 1     ")


def test_memory_is_told_where_the_system_tells_it() -> None:
    assert all(text.endswith(" GB") for text in progress.memory_texts())


def test_after_a_resume_pace_and_time_left_are_of_this_process() -> None:
    clock = Clock()
    terminal = Terminal(console(is_terminal=False), clock)
    terminal(started(steps=1000))
    terminal(events.Resumed(500, 6, "the checkpoint of 10:31"))
    for number in range(500, 510):
        clock.now += 2.0
        terminal(step(number, epoch=6))
    assert terminal.pace.speed_texts() == ["50 rows/s"]
    assert terminal.pace.seconds_left() == pytest.approx(490 * 2.0)
    assert "resumed     at step 500, epoch 6: the checkpoint of 10:31" in printed(terminal.console)


def test_validations_and_checkpoints_are_time_left_but_not_throughput() -> None:
    clock = Clock()
    terminal = Terminal(console(is_terminal=False), clock)
    terminal(started(steps=4))
    for number in range(2):
        clock.now += 1.0
        terminal(step(number))
    clock.now += 7.0
    terminal(Validated(1, 2, {"accuracy": 0.5}, "accuracy", is_best=True))
    clock.now += 1.0
    terminal(events.CheckpointSaved(2, "checkpoints/last", 1.0, 1000))
    assert terminal.pace.speed_texts() == ["100 rows/s"]
    assert terminal.pace.seconds_left() == pytest.approx(2 * 5.0)
    assert "saved at 2" in [piece.text for piece in terminal.pace.pieces()]


def test_a_log_shows_life_every_30_seconds_of_a_long_epoch_and_else_a_line_an_epoch() -> None:
    clock = Clock()
    terminal = Terminal(console(is_terminal=False), clock)
    terminal(started(steps=1000))
    before = len(printed(terminal.console))
    for number in range(70):  # 70 s
        clock.now += 1.0
        terminal(step(number))
    terminal(Validated(1, 70, {"accuracy": 0.5}, "accuracy", is_best=False))
    for number in range(70, 95):  # 25 s after the last line
        clock.now += 1.0
        terminal(step(number, epoch=2))
    lines = printed(terminal.console)[before:]
    assert [line[:60] for line in lines] == [
        "epoch 1/10  step 30 of 1,000, loss 0.5000, 100 rows/s, 16:10",
        "epoch 1/10  step 60 of 1,000, loss 0.5000, 100 rows/s, 15:40",
        "epoch 1/10  loss 0.5000, 100 rows/s, validation accuracy 0.5000"[:60],
    ]


def test_a_terminal_that_cannot_redraw_gets_plain_lines() -> None:
    target = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None, _environ={"TERM": "dumb"})
    terminal = Terminal(target, Clock())
    terminal(started())
    assert terminal.live is None


def test_a_live_line_starts_with_the_training_and_ends_with_it() -> None:
    terminal = Terminal(console(is_terminal=True), Clock())
    terminal(started())
    assert terminal.live is not None
    terminal(step(0))
    terminal(events.TrainingEnded("all 10 epochs done", 3, 61.0))
    assert terminal.live is None
    assert any("all 10 epochs done; weights of epoch 3 kept; 1:01" in line for line in printed(terminal.console))


def test_a_loss_that_is_not_finite_does_not_stay_in_the_average() -> None:
    pace = Pace(1, 10, Clock())
    for loss in (1.0, float("nan"), 1.0):
        pace.step(step(0, loss=loss))
    assert pace.loss_text() == "loss 1.0000"


def test_what_goes_wrong_is_told_in_one_line_each() -> None:
    terminal = Terminal(console(160, is_terminal=False), Clock())
    terminal(events.Diverged(12, 2, float("nan"), 0.001, [3, 17, 22, 40, 41, 42], "half the rate from step 10 on"))
    terminal(events.MemoryRanOut(12, 4))
    terminal(events.Stopped(12, "SIGTERM"))
    terminal(events.CheckpointSaved(12, "checkpoints/last", 0.1, 1000))
    assert printed(terminal.console) == [
        "warning     the loss became nan at step 12 (epoch 2, learning rate 0.001, rows 3, 17, 22, 40, 41 and 1 more); "
        "half the rate from step 10 on",
        "warning     out of memory at step 12: a batch now goes in 4 parts",
        "stopped     at step 12, by SIGTERM",
    ]


@pytest.mark.parametrize("width", [60, 80])
def test_a_validation_with_a_long_metric_stays_within_the_terminal(width: int) -> None:
    clock = Clock()
    terminal = Terminal(console(width, is_terminal=True), clock)
    terminal.pace = busy_pace(clock)
    terminal(Validated(12, 70, {LONG: 12.3456}, LONG, is_best=True))
    lines = printed(terminal.console)
    assert all(len(line) <= width for line in lines)
    assert len(lines) == (1 if width == 80 else 2)
    assert "12.3456" in " ".join(lines)


@pytest.mark.parametrize("width", [60, 80])
def test_scores_are_not_broken_in_a_narrow_terminal(width: int) -> None:
    target = console(width, is_terminal=True)
    score = {"value": 0.91234, "low": 0.9, "high": 0.92}
    baselines = {name: {LONG: {"value": 0.5}} for name in ("most frequent", "gradient boosting")}
    target.print(score_table({"rows": 123, "scores": {LONG: score}, "baselines": baselines}))
    lines = printed(target)
    assert all(len(line) <= width for line in lines)
    assert any("0.9123 [0.9000, 0.9200]" in line for line in lines)
    assert "…" not in "".join(lines)


def test_pieces_give_way_by_rank() -> None:
    pieces = [Piece("loss 1", 0), Piece("fast", 2), Piece("soon", 1)]
    assert fitted(pieces, 20) == "loss 1  fast  soon"
    assert fitted(pieces, 15) == "loss 1  soon"
    assert fitted(pieces, 4) == "loss"


@pytest.mark.parametrize(("count", "text"), [(7, "7"), (1_234, "1.2 k"), (123_456, "123 k"), (15_300_000, "15.3 M")])
def test_counts_are_short(count: int, text: str) -> None:
    assert progress.short(count) == text


def test_steps_tokens_and_validations_between_epochs_are_told_as_what_they_are() -> None:
    terminal = Terminal(console(width=120, is_terminal=False), Clock())
    settings = SETTINGS | {"steps": 1500, "batch_size": None, "batch_tokens": 4096, "validate_every": 100}
    terminal(TrainingStarted(2, 1500, 10_000, 5_000, 5_000, "float32", "cpu", settings))
    terminal(step(99))
    terminal(events.Validated(1, 100, {"accuracy": 0.5}, "accuracy", is_best=True))
    terminal(events.TrainingEnded("1,500 steps done", 1, 61.0, 100))
    lines = printed(terminal.console)
    assert "training    1,500 steps at most, of 10,000 rows, batch 4,096 tokens, adamw at " in lines[1]
    assert lines[2].startswith("step 100    loss 0.5000")
    assert lines[3].strip() == "1,500 steps done; weights of step 100 kept; 1:01"
