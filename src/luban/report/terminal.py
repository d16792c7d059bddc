"""A run as it shows in a terminal: what was inferred, one live line, the scores."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, ClassVar

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from luban.audit.subject import counted
from luban.core.errors import typed
from luban.core.events import (
    CheckpointSaved,
    Diverged,
    Evaluated,
    Event,
    Listener,
    MemoryRanOut,
    Noted,
    PreflightDone,
    Resumed,
    RunSaved,
    SchemaInferred,
    SplitMade,
    StepDone,
    Stopped,
    TrainingEnded,
    TrainingStarted,
    Validated,
)
from luban.core.shown import LONGEST, shown
from luban.features.cells import quoted
from luban.report.judgement_table import short_lines, told_of_each
from luban.report.progress import LABEL_WIDTH, LiveLine, Pace, Piece, clock_time, fitted, short
from luban.report.wrapping import is_terminal, open_console, safe, show_table, wrapped

MAX_COLUMNS = 30  # columns of the data that are listed one by one
MAX_ROWS = 5  # of a batch that are named
REFRESHES = 4  # of the live line, a second
LOG_SECONDS = 30.0  # a log shows life at least so often
MAX_UNSOUND = 7  # checks before the run that are listed one by one


class Terminal(Listener):
    """A listener that prints. In a terminal the training shows as one live line; elsewhere as one line an epoch, and
    one every 30 seconds of a longer epoch."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or open_console(soft_wrap=not is_terminal())
        self.clock = clock
        self.live: Live | None = None
        self.pace = Pace(0, 0, clock)
        self.between = False  # whether there are validations between the ends of epochs
        self.told = 0.0  # when the last line about the training was printed

    @property
    def can_redraw(self) -> bool:
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def __call__(self, event: Event) -> None:
        handler = self.HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)

    def close(self) -> None:
        """Give the terminal's cursor back, however the run ended."""
        if self.live is not None:
            self.live.stop()
            self.live = None

    def line(self, label: str, text: str, style: str = "", *, is_prose: bool = True) -> None:
        """Print a text beside its label. is_prose: false for what a log keeps on one line, to be read by programs."""
        text = shown(text, limit=LONGEST)
        if not self.console.is_terminal:
            line = f"{label:<{LABEL_WIDTH}} {text}".rstrip()
            lines = wrapped(line, LABEL_WIDTH + 1, self.console.width) if is_prose else line
            self.console.print(Text(lines), soft_wrap=True)
            return
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=LABEL_WIDTH, style="bold cyan", no_wrap=True)
        grid.add_column(style=style, overflow="fold")
        grid.add_row(label, Text(text))
        self.console.print(grid)

    def noted(self, event: Noted) -> None:
        if event.is_warning:
            self.warning(event.text)
        else:
            self.line(event.stage, event.text)

    def schema(self, event: SchemaInferred) -> None:
        self.line("columns", f"{event.rows:,} rows, target '{event.target}': {event.task}")
        table = Table(box=None, padding=(0, 1), pad_edge=False, show_header=False)
        table.add_column(width=LABEL_WIDTH)
        table.add_column(style="bold", overflow="fold", max_width=24)
        table.add_column(style="green")
        table.add_column(style="dim", overflow="fold")
        for name, kind, learned, reason in event.columns[:MAX_COLUMNS]:
            table.add_row("", safe(name), kind, safe(learned or reason))
        self.console.print(table)
        if len(event.columns) > MAX_COLUMNS:
            self.line("", f"and {len(event.columns) - MAX_COLUMNS:,} more columns")

    def split(self, event: SplitMade) -> None:
        self.line(
            "split", f"{event.train:,} training {event.noun}, {event.validation:,} validation, {event.test:,} test"
        )

    def preflight(self, event: PreflightDone) -> None:
        """One line where all is well, and one more for each check that is not, seven at most."""
        unsound = [check for check in event.checks if check["status"] != "passed"]
        passed, estimate = len(event.checks) - len(unsound), event.estimate
        parts = [f"{passed} checks passed" if not unsound else f"{passed} of {len(event.checks)} checks passed"]
        if estimate["seconds"] is not None:
            by_steps = estimate["epochs"] is None
            length = _counted(estimate["steps"], "step") if by_steps else _counted(estimate["epochs"], "epoch")
            parts.append(f"about {clock_time(estimate['seconds'])} ({length})")
        parts += [f"{_size(estimate['memory_bytes'])} memory", f"{_size(estimate['disk_bytes'])} disk"]
        self.line("preflight", ", ".join(parts))
        for check in unsound[:MAX_UNSOUND]:
            style = "bold red" if check["status"] == "failed" else "yellow"
            self.line(check["status"], f"{check['name']}: {check['found']}", style)

    def training_started(self, event: TrainingStarted) -> None:
        optim = event.settings["optim"]
        trained = (
            "" if event.trained_parameters == event.parameters else f" ({short(event.trained_parameters)} trained)"
        )
        self.line("network", f"{short(event.parameters)} parameters{trained}, {event.precision} on {event.device}")
        rate = f"{optim['learning_rate']:g}"
        if optim["backbone_learning_rate"] not in (None, optim["learning_rate"]):
            rate = f"{optim['backbone_learning_rate']:g} (head {rate})"
        settings = event.settings
        length = _counted(event.steps, "step") if settings.get("steps") else _counted(event.epochs, "epoch")
        tokens = settings.get("batch_tokens")
        batch = f"{tokens:,} tokens" if tokens else settings["batch_size"]
        self.line(
            "training",
            f"{length} at most, of {event.rows:,} rows, batch {batch}, {optim['optimizer']} at {rate}, "
            f"{optim['schedule']}",
        )
        self.between = bool(settings.get("validate_every"))
        self.pace = Pace(event.epochs, event.steps, self.clock)
        self.told = self.clock()
        if self.can_redraw:
            self.live = Live(LiveLine(self.pace), console=self.console, refresh_per_second=REFRESHES, transient=True)
            self.live.start()

    def resumed(self, event: Resumed) -> None:
        self.pace.epoch, self.pace.next_step = event.epoch, event.step
        self.line("resumed", f"at step {event.step:,}, epoch {event.epoch}: {event.note}")

    def step(self, event: StepDone) -> None:
        self.pace.step(event)
        if not self.can_redraw and self.clock() - self.told >= LOG_SECONDS:
            done = f"step {self.pace.next_step:,} of {self.pace.total:,}"
            texts = [done, *(piece.text for piece in self.pace.pieces())]
            self.line(self.when(event.epoch), ", ".join(texts), is_prose=False)
            self.told = self.clock()

    def when(self, epoch: int) -> str:
        return f"epoch {epoch}/{self.pace.epochs}" if epoch else "start"

    def checkpoint_saved(self, event: CheckpointSaved) -> None:
        self.pace.checkpoint = event.step
        self.pace.pause()

    def diverged(self, event: Diverged) -> None:
        rows = ", ".join(str(row) for row in event.rows[:MAX_ROWS])
        more = f" and {len(event.rows) - MAX_ROWS} more" if len(event.rows) > MAX_ROWS else ""
        self.warning(
            f"the loss became {event.loss:g} at step {event.step:,} (epoch {event.epoch}, "
            f"learning rate {event.learning_rate:.2g}, rows {rows}{more}); {event.action}"
        )

    def memory_ran_out(self, event: MemoryRanOut) -> None:
        self.warning(f"out of memory at step {event.step:,}: a batch now goes in {event.parts} parts")

    def warning(self, text: str) -> None:
        self.line("warning", text, "yellow")

    def stopped(self, event: Stopped) -> None:
        self.close()
        self.line("stopped", f"at step {event.step:,}, by {event.signal}")

    def validated(self, event: Validated) -> None:
        score = f"validation {event.decider.replace('_', ' ')} {_number(event.scores[event.decider])}"
        speeds = self.pace.speed_texts()
        pieces = [
            Piece(self.pace.loss_text(), 2),
            Piece(speeds[0] if speeds else "", 3),
            Piece(score, 0),
        ]
        best = "  best so far" if event.is_best else ""
        width = self.console.width - LABEL_WIDTH - 1 - len(best) if self.console.is_terminal else sys.maxsize
        text = fitted([piece for piece in pieces if piece.text], max(width, len(score)), ", ")
        when = f"step {event.step:,}" if self.between and event.step else self.when(event.epoch)
        self.line(when, text + best, is_prose=False)
        self.pace.pause()
        self.told = self.clock()

    def training_ended(self, event: TrainingEnded) -> None:
        self.close()
        best = f"epoch {event.best_epoch}" if event.best_step is None else f"step {event.best_step:,}"
        kept = f"weights of {best} kept" if event.best_epoch else "the weights before training kept"
        self.line("", f"{event.reason}; {kept}; {clock_time(event.seconds)}")

    def evaluated(self, event: Evaluated) -> None:
        self.console.print()
        for table in score_tables(event.evaluation):
            show_table(self.console, table)
        if forecast := event.evaluation.get("forecast"):
            self.line("protocol", forecast["protocol"])
            for text in (event.evaluation.get("forecasters") or {}).get("sentences", ()):
                self.line("beside", text)
        verdict = event.evaluation.get("verdict", {})
        if verdict:
            self.line("verdict", verdict["text"], "bold green" if verdict["beats_baselines"] else "bold yellow")
        for label, text in told_of_each(event.evaluation, short_lines):
            self.line(label, text)

    def saved(self, event: RunSaved) -> None:
        self.line("run", event.path, "bold", is_prose=False)
        if event.report is not None:
            self.line("report", event.report, "bold", is_prose=False)
        self.line("", f"luban predict {typed(event.path)} new.csv -o predictions.csv", is_prose=False)

    HANDLERS: ClassVar[dict[type[Event], Any]] = {
        Noted: noted,
        SchemaInferred: schema,
        SplitMade: split,
        PreflightDone: preflight,
        TrainingStarted: training_started,
        Resumed: resumed,
        StepDone: step,
        CheckpointSaved: checkpoint_saved,
        Diverged: diverged,
        MemoryRanOut: memory_ran_out,
        Stopped: stopped,
        Validated: validated,
        TrainingEnded: training_ended,
        Evaluated: evaluated,
        RunSaved: saved,
    }


def score_tables(evaluation: dict[str, Any]) -> list[Table]:
    """Return the scores of an evaluation, and beside them those of each of several targets."""
    targets = evaluation.get("targets", {})
    return [score_table(evaluation), *(score_table(found, f"{name}: ") for name, found in targets.items())]


def score_table(evaluation: dict[str, Any], title: str = "") -> Table:
    """Return the scores of an evaluation, with intervals, beside the baselines."""
    table = Table(
        box=None,
        pad_edge=False,
        title_justify="left",
        title=f"{safe(title)}{counted(evaluation['rows'])}, 95 % intervals",
    )
    table.add_column("metric", style="bold cyan", overflow="fold")
    table.add_column("model", justify="right", no_wrap=True)
    baselines = evaluation.get("baselines", {})
    for name in baselines:
        table.add_column(name, justify="right", style="dim")
    for metric, score in evaluation["scores"].items():
        cells = [_score(score)]
        cells += [_number(baselines[name][metric]["value"]) for name in baselines]
        table.add_row(safe(metric.replace("_", " ") + _of_label(metric, evaluation)), *cells)
    return table


def _of_label(metric: str, evaluation: dict[str, Any]) -> str:
    """Name the label that F1 of two classes is about, since the other one has another F1."""
    labels = evaluation.get("labels") or []
    return f" of {quoted(labels[1])}" if metric == "f1" and len(labels) == 2 else ""


def _score(score: dict[str, float | None]) -> str:
    return f"{_number(score['value'])} [{_number(score['low'])}, {_number(score['high'])}]"


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'s' * (count != 1)}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{max(1, round(count / 1e6))} MB"
