"""What the command line and the Python calls share: from a source and loose settings to a finished run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from luban import config as configuration
from luban import pipeline
from luban.config import RunConfig
from luban.core import artifact
from luban.core.artifact import RunDirectory
from luban.core.errors import ConfigError, TrainingError, listed, typed
from luban.core.events import Event, Listener
from luban.core.paths import as_path
from luban.core.removal import remove_folder
from luban.core.shown import brief
from luban.data import samples
from luban.model import Model
from luban.models.network import expand_name
from luban.outputs import Formulas, check_output, for_text_file, free_names, read_by, write_table
from luban.predictor import check_finite, known
from luban.report.history import History
from luban.report.rate_plot import show
from luban.report.terminal import Terminal
from luban.report.trackers.tracking import trackers
from luban.run import Run

if TYPE_CHECKING:
    from luban.evaluation.compare import RunComparison
    from luban.evaluation.prediction_sets import PredictionSets

CONFIG_SUFFIXES = (".yaml", ".yml")
BEFORE_TRAINING = {artifact.HISTORY, artifact.CONFIG, artifact.AUDIT}  # files of a run that never began
ROLES = ("train", "validation", "test")
NAME_BYTES = 100  # of a run that is named after its data; file systems hold 143 and more


def train_from_settings(settings: dict[str, Any], where: str, tables: dict[str, object], *, quiet: bool) -> Model:
    """Check the settings and train. tables: in memory, by role; the others are read from their paths."""
    config = located(configuration.parse(settings, where))
    inputs = {**sources_of(config), **tables}
    if "train" not in inputs:
        inputs["train"] = required_source(config)
    return start(config, inputs, quiet=quiet)


def sources_of(config: RunConfig) -> dict[str, object]:
    """Return the paths of the data that are set, by role."""
    return {role: path for role in ROLES if (path := getattr(config.data, role)) is not None}


def located(config: RunConfig) -> RunConfig:
    """Make the paths of the data absolute, so that the resolved configuration repeats the run from anywhere."""
    paths = {role: path for role in ROLES if (path := getattr(config.data, role)) and not samples.is_reference(path)}
    absolute = {role: str(as_path(path).absolute()) for role, path in paths.items()}
    return config.model_copy(update={"data": config.data.model_copy(update=absolute)})


def settings_of(source: str | Path) -> dict[str, Any]:
    """Return the settings in a configuration file, or those that name a data source."""
    path = Path(source)
    if path.suffix in CONFIG_SUFFIXES:
        return configuration.load(path)
    return {"data": {"train": str(source)}}


def settings_with(
    source: str, options: Mapping[tuple[str, ...], Any], assignments: Sequence[str]
) -> tuple[dict[str, Any], str]:
    """Return the settings of a source with those of the command line over them, and where they are from, for messages.

    options: by path; None where one is not given. assignments: like `train.epochs=3`.
    """
    settings = settings_of(source)
    for path, value in options.items():
        if value is not None:
            place(settings, path, value)
    configuration.override(settings, assignments)
    return settings, source if source.endswith(CONFIG_SUFFIXES) else "settings"


def train_from_python(source: object, target: str | None, quiet: bool, options: dict[str, Any]) -> Model:
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
        place(settings, ["data", "target"], target)
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


def place(settings: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at a path of nested settings; a dict is merged into what is there."""
    *parents, last = path
    for parent in parents:
        child = settings.get(parent)
        if parent == "model" and isinstance(child, str):
            child = expand_name(child)
        if child is None:
            child = {}
        if not isinstance(child, dict):
            raise ConfigError(
                f"'{parent}'", expected="settings by name", found=brief(child), action="Write it as a mapping"
            )
        settings[parent] = child
        settings = child
    if isinstance(value, dict) and isinstance(settings.get(last), dict):
        for key, item in value.items():
            place(settings[last], [key], item)
    else:
        settings[last] = value


def predict_file(
    run: Path,
    data: Path,
    output: Path | None,
    *,
    overwrite: bool,
    level: float | None = None,
    which: Formulas = "added",
) -> tuple[pl.DataFrame, list[str]]:
    """Predict every row of a source and write all its columns with the predictions beside them.

    level: of the prediction sets or intervals that are added. which: cells that are written as text where a spreadsheet
    would run them. Returns the rows, as a text file has them where there is no output, and what was unusual or chosen.
    Raises ConfigError where the output exists, or the run has no sets of that level.
    """
    if output is not None:
        output = check_output(output, [data, *read_by(run)], overwrite=overwrite)
    model = Model.load(run)
    sets = None if level is None else stored_sets(model, level)
    table = model.read(str(data))
    prediction = model.prediction(table)
    added = prediction.frame
    if sets is not None:
        added = added.hstack(known(sets.columns(model.predictor.task, prediction.outputs), prediction.outputs))
    added = added.rename(free_names(added.columns, table.columns))
    frame = table.frame.hstack(added)
    decision = model.predictor.decision
    notes = [*prediction.notes, *([] if decision is None else [decision])]
    if output is not None:
        return frame, [*notes, *write_table(frame, output, added.columns, which)]
    frame, told = for_text_file(frame, added.columns, which)
    return frame, [*notes, *told]


def compare_runs(run_a: Path, run_b: Path, data: Path | None) -> RunComparison:
    """Compare two runs on the test rows that they share, or on labelled rows. Raises ConfigError where that fails."""
    from luban.evaluation import compare

    if data is None:
        return compare.compare(*compare.stored(RunDirectory.open(run_a), RunDirectory.open(run_b)))

    def judged(path: Path) -> compare.Judged:
        model = Model.load(path)
        table, targets = model.labelled(str(data))
        outputs = model.predictor.predict(table).outputs
        check_finite(outputs, table)
        return compare.Judged(model.directory, model.predictor.task, table.row_numbers, targets, outputs, is_named=True)

    return compare.compare(judged(run_a), judged(run_b))


def stored_sets(model: Model, level: float) -> PredictionSets:
    """Return what a run knows of prediction sets of a level."""
    from luban.evaluation.prediction_sets import PredictionSets

    return PredictionSets.load(model.directory, model.predictor.task, level)


def positions_of(text: str, count: int) -> list[int]:
    """Return the positions from 0 of the rows `1,6,10`, counted from 1. Raises ConfigError where they are none of the
    `count` rows."""
    try:
        positions = [int(number) - 1 for number in text.split(",")]
    except ValueError:
        positions = [-1]
    if not all(0 <= position < count for position in positions):
        raise ConfigError(
            "--rows",
            expected=f"numbers of rows from 1 to {count}",
            found=f"'{text}'",
            action="Write them like 1,6,10",
        )
    return positions


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


def required_source(config: RunConfig) -> str:
    """Return the training source of a configuration. Raises ConfigError where none is set."""
    if config.data.train is None:
        raise ConfigError(
            "data.train", expected="the path of the training data", found="nothing", action="Set data.train"
        )
    return config.data.train
