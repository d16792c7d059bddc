"""A run as it shows in a terminal: what was inferred, one live line, the scores."""

from __future__ import annotations

import sys
import time
from typing import Any, ClassVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from luban.core.events import (
    Evaluated,
    Event,
    Noted,
    PreflightDone,
    RunSaved,
    SchemaInferred,
    SplitMade,
    StepDone,
    TrainingEnded,
    TrainingStarted,
    Validated,
)

MAX_COLUMNS = 30  # columns of the data that are listed one by one
MAX_UNSOUND = 7  # checks before the run that are listed one by one
LABEL_WIDTH = 11
LOSS_MEMORY = 0.95  # of the moving average that is shown


class Terminal:
    """A listener that prints. In a terminal the training shows as one live line; elsewhere as one line an epoch."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=not sys.stdout.isatty())
        self.progress: Progress | None = None
        self.loss: float | None = None
        self.rows, self.started = 0, 0.0
        self.epochs = 0
        self.is_closed = False

    def __call__(self, event: Event) -> None:
        handler = self.HANDLERS.get(type(event))
        if handler is not None and not self.is_closed:
            try:
                handler(self, event)
            except BrokenPipeError:
                self.is_closed = True  # nobody reads any more; the run goes on

    def close(self) -> None:
        """Give the terminal's cursor back, however the run ended."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None

    def line(self, label: str, text: str, style: str = "") -> None:
        if not self.console.is_terminal:
            self.console.print(f"{label:<{LABEL_WIDTH}} {text}".rstrip(), markup=False, soft_wrap=True)
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=LABEL_WIDTH, style="bold cyan", no_wrap=True)
        grid.add_column(style=style, overflow="fold")
        grid.add_row(label, escape(text))
        self.console.print(grid)

    def noted(self, event: Noted) -> None:
        self.line("warning" if event.is_warning else event.stage, event.text, "yellow" if event.is_warning else "")

    def schema(self, event: SchemaInferred) -> None:
        self.line("columns", f"{event.rows:,} rows, target '{event.target}': {event.task}")
        table = Table(box=None, padding=(0, 1), pad_edge=False, show_header=False)
        table.add_column(width=LABEL_WIDTH)
        table.add_column(style="bold", overflow="fold", max_width=24)
        table.add_column(style="green")
        table.add_column(style="dim", overflow="fold")
        for name, kind, learned, reason in event.columns[:MAX_COLUMNS]:
            table.add_row("", escape(name), kind, escape(learned or reason))
        self.console.print(table)
        if len(event.columns) > MAX_COLUMNS:
            self.line("", f"and {len(event.columns) - MAX_COLUMNS} more columns")

    def split(self, event: SplitMade) -> None:
        self.line("split", f"{event.train:,} training rows, {event.validation:,} validation, {event.test:,} test")

    def preflight(self, event: PreflightDone) -> None:
        """One line where all is well, and one more for each check that is not, seven at most."""
        unsound = [check for check in event.checks if check["status"] != "passed"]
        passed, estimate = len(event.checks) - len(unsound), event.estimate
        parts = [f"{passed} checks passed" if not unsound else f"{passed} of {len(event.checks)} checks passed"]
        if estimate["seconds"] is not None:
            parts.append(f"about {_clock(estimate['seconds'])} ({estimate['epochs']} epochs)")
        parts += [f"{_size(estimate['memory_bytes'])} memory", f"{_size(estimate['disk_bytes'])} disk"]
        self.line("preflight", ", ".join(parts))
        for check in unsound[:MAX_UNSOUND]:
            style = "bold red" if check["status"] == "failed" else "yellow"
            self.line(check["status"], f"{check['name']}: {check['found']}", style)

    def training_started(self, event: TrainingStarted) -> None:
        optim = event.settings["optim"]
        trained = (
            "" if event.trained_parameters == event.parameters else f" ({_short(event.trained_parameters)} trained)"
        )
        self.line("network", f"{_short(event.parameters)} parameters{trained}, {event.precision} on {event.device}")
        rate = f"{optim['learning_rate']:g}"
        if optim["backbone_learning_rate"] not in (None, optim["learning_rate"]):
            rate = f"{optim['backbone_learning_rate']:g} (head {rate})"
        self.line(
            "training",
            f"{event.epochs} epoch{'s' * (event.epochs > 1)} at most, of {event.rows:,} rows, "
            f"batch {event.settings['batch_size']}, {optim['optimizer']} at {rate}, {optim['schedule']}",
        )
        self.rows, self.started, self.epochs = 0, time.monotonic(), event.epochs
        if self.console.is_terminal:
            self.progress = Progress(
                TextColumn("[bold cyan]{task.description:<11}"),
                BarColumn(bar_width=18),
                TextColumn("{task.fields[text]}"),
                console=self.console,
                transient=True,
            )
            self.progress.add_task("epoch 1", total=event.steps, text="")
            self.progress.start()

    def step(self, event: StepDone) -> None:
        self.loss = event.loss if self.loss is None else LOSS_MEMORY * self.loss + (1 - LOSS_MEMORY) * event.loss
        self.rows += event.rows
        if self.progress is None:
            return
        elapsed = time.monotonic() - self.started
        total = self.progress.tasks[0].total or 1
        left = elapsed / (event.step + 1) * (total - event.step - 1)
        self.progress.update(
            self.progress.tasks[0].id,
            completed=event.step + 1,
            description=f"epoch {event.epoch}",
            text=f"loss {self.loss:.4f}  {self.rows / max(elapsed, 1e-9):,.0f} rows/s  {_clock(left)} left",
        )

    def validated(self, event: Validated) -> None:
        score = f"{event.decider.replace('_', ' ')} {event.scores[event.decider]:.4f}"
        loss = "" if self.loss is None else f"loss {self.loss:.4f}, "
        speed = self.rows / max(time.monotonic() - self.started, 1e-9)
        best = "  best so far" if event.is_best else ""
        when = f"epoch {event.epoch}/{self.epochs}" if event.epoch else "start"
        pace = f"{speed:,.0f} rows/s, " if self.rows else ""
        self.line(when, f"{loss}{pace}validation {score}{best}")

    def training_ended(self, event: TrainingEnded) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
        kept = f"weights of epoch {event.best_epoch} kept" if event.best_epoch else "the weights before training kept"
        self.line("", f"{event.reason}; {kept}; {_clock(event.seconds)}")

    def evaluated(self, event: Evaluated) -> None:
        self.console.print()
        self.console.print(score_table(event.evaluation))
        verdict = event.evaluation.get("verdict", {})
        if verdict:
            self.line("verdict", verdict["text"], "bold green" if verdict["beats_baselines"] else "bold yellow")

    def saved(self, event: RunSaved) -> None:
        self.line("run", event.path, "bold")
        self.line("", f"luban predict {event.path} new.csv -o predictions.csv")

    HANDLERS: ClassVar[dict[type[Event], Any]] = {
        Noted: noted,
        SchemaInferred: schema,
        SplitMade: split,
        PreflightDone: preflight,
        TrainingStarted: training_started,
        StepDone: step,
        Validated: validated,
        TrainingEnded: training_ended,
        Evaluated: evaluated,
        RunSaved: saved,
    }


def score_table(evaluation: dict[str, Any]) -> Table:
    """Return the scores of an evaluation, with intervals, beside the baselines."""
    table = Table(box=None, pad_edge=False, title_justify="left", title=f"{evaluation['rows']:,} rows, 95 % intervals")
    table.add_column("metric", style="bold cyan")
    table.add_column("model", justify="right")
    baselines = evaluation.get("baselines", {})
    for name in baselines:
        table.add_column(name, justify="right", style="dim")
    for metric, score in evaluation["scores"].items():
        cells = [_score(score)]
        cells += [_number(baselines[name][metric]["value"]) for name in baselines]
        table.add_row(metric.replace("_", " "), *cells)
    return table


def _score(score: dict[str, float | None]) -> str:
    return f"{_number(score['value'])} [{_number(score['low'])}, {_number(score['high'])}]"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def _short(count: int) -> str:
    for size, unit in ((1_000_000_000, "B"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count)


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
