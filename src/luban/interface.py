"""What the command line and the Python calls share: from a source and loose settings to a finished run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luban import config as configuration
from luban import pipeline
from luban.config import RunConfig
from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ConfigError, TrainingError, listed, typed
from luban.core.events import Event, Listener
from luban.core.removal import remove_folder
from luban.model import Model
from luban.report.history import History
from luban.report.rate_plot import show
from luban.report.terminal import Terminal
from luban.report.trackers.tracking import trackers
from luban.run import Run

if TYPE_CHECKING:
    pass

from luban.settings import located, place, required_source, settings_of, sources_of

BEFORE_TRAINING = {artifact.HISTORY, artifact.CONFIG, artifact.AUDIT}  # files of a run that never began
NAME_BYTES = 100  # of a run that is named after its data; file systems hold 143 and more


def train_from_settings(settings: dict[str, Any], where: str, tables: dict[str, object], *, quiet: bool) -> Model:
    """Check the settings and train. tables: in memory, by role; the others are read from their paths."""
    config = located(configuration.parse(settings, where))
    inputs = {**sources_of(config), **tables}
    if "train" not in inputs:
        inputs["train"] = required_source(config)
    return start(config, inputs, quiet=quiet)


def train_from_python(
    source: object, target: str | Sequence[str] | None, quiet: bool, options: dict[str, Any]
) -> Model:
    """Train from a path or a table in memory; `options` as `luban.train` takes them."""
    tables: dict[str, object] = {}
    settings: dict[str, Any] = {}
    unfinished = options.pop("resume", None)
    if unfinished is not None:
        return resume(unfinished, tables_in(source, options), quiet=quiet)
    if isinstance(source, (str, Path)):
        settings = settings_of(source)
    else:
        tables["train"] = source
    for role in ("validation", "test"):
        given = options.pop(role, None)
        if isinstance(given, (str, Path)):
            place(settings, ["data", role], str(given))
        elif given is not None:
            tables[role] = given
    if target is not None:
        place(settings, ["data", "target"], target if isinstance(target, str) else list(target))
    for name, value in options.items():
        place(settings, name.split("__"), value)
    return train_from_settings(settings, "luban.train", tables, quiet=quiet)


def tables_in(source: object, options: dict[str, Any]) -> dict[str, object]:
    """Return the tables in memory of a run that goes on. Raises ConfigError for any other option."""
    tables: dict[str, object] = {role: options.pop(role) for role in ("validation", "test") if role in options}
    if source is not None:
        tables["train"] = source
    if options:
        raise ConfigError(
            "resume",
            expected="no settings beside it",
            found=listed(options),
            action="They are the run's own: leave out",
        )
    return tables


def start(config: RunConfig, tables: dict[str, object], *, quiet: bool, more: Sequence[Listener] = ()) -> Model:
    """Make the run directory, train, and leave no empty directory behind a run that never began."""
    name = config.name or default_name(tables.get("train"))
    directory = RunDirectory.create(Path(config.runs), name)
    artifact.write_bytes(directory / artifact.CONFIG, configuration.dump(config).encode())
    try:
        return supervised(new_run(config, directory, quiet=quiet, more=more), tables, resume=False)
    except BaseException as error:
        if not isinstance(error.__cause__, KeyboardInterrupt):
            forget(directory)
        raise


def forget(directory: RunDirectory) -> None:
    """Remove a directory that this process made, where it holds no more than what is written before a training."""
    remove_folder(directory.path, lambda file: file.name in BEFORE_TRAINING)


def find_learning_rate(settings: dict[str, Any], where: str) -> None:
    """Check the settings, test learning rates, and show the curve."""
    config = located(configuration.parse(settings, where))
    tables = sources_of(config)
    if "train" not in tables:
        tables["train"] = required_source(config)
    name = f"{config.name or default_name(tables['train'])}-learning-rate"
    directory = RunDirectory.create(Path(config.runs), name)
    terminal = Terminal()
    try:
        curve = pipeline.find_learning_rate(Run(config, directory, [terminal]), tables)
    except BaseException:
        forget(directory)
        raise
    show(terminal.console, curve)
    terminal.line("curve", str(directory / artifact.RATE_PLOT), "bold")
    if curve.proposed is not None:
        terminal.line("", f"luban train ... --set train.optim.learning_rate={curve.proposed:g}")


def new_run(config: RunConfig, directory: RunDirectory, *, quiet: bool, more: Sequence[Listener] = ()) -> Run:
    """Return a run with everyone who listens to it. Raises ConfigError where a tracker cannot be used."""
    shown = [] if quiet else [Terminal()]

    def warn(event: Event) -> None:
        for terminal in shown:
            terminal(event)

    tracking = trackers(config.track, directory.path, config.model_dump(mode="json"), warn)
    run = Run(config, directory, [History(directory.path, warn=warn), *tracking, *shown, *more])
    run.note("track", *(tracker.note for tracker in tracking))
    return run


def resume(path: str | Path, tables: dict[str, object], *, quiet: bool) -> Model:
    """Go on with a run that was interrupted. tables: as it began with, where they were in memory."""
    directory = RunDirectory.open_unfinished(path)
    file = directory / artifact.CONFIG
    config = configuration.parse(configuration.load(file), str(file))
    inputs = {**sources_of(config), **tables}
    if "train" not in inputs:
        raise ConfigError(
            str(file),
            expected="data.train, the path of the training data",
            found="none, since the run began with a table in memory",
            action=f"Give the table again: luban.train(table, resume='{path}')",
        )
    return supervised(new_run(config, directory, quiet=quiet), inputs, resume=True)


def supervised(run: Run, tables: dict[str, object], *, resume: bool) -> Model:
    """Train while no other process works in the run's directory; Ctrl-C outside the training becomes one sentence."""
    try:
        with run.directory.locked():
            return pipeline.train(run, tables, resume=resume)
    except KeyboardInterrupt as stop:
        path = run.directory.path
        raise TrainingError(
            str(path),
            expected="the run to reach its end",
            found="Ctrl-C",
            action=f"Go on with `luban train --resume {typed(path)}`",
        ) from stop
    finally:
        for listener in run.listeners:
            listener.close()


def default_name(source: object) -> str:
    """Name a run after its data: the file, or its folder where the file is only called train."""
    if not isinstance(source, (str, Path)):
        return "table"
    path = Path(str(source).removeprefix("sample:"))
    stem = path.name.split(".")[0]
    name = (path.parent.name if stem in ("train", "data") and path.parent.name else stem) or "run"
    # What is added to it, for a learning rate or the second of a name, must fit, too.
    return name.encode()[:NAME_BYTES].decode("utf-8", "ignore")
