"""What the commands do with finished runs: predict a file, compare two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from luban.core.artifact import RunDirectory
from luban.core.errors import ConfigError
from luban.model import Model
from luban.outputs import Formulas, check_output, for_text_file, free_names, read_by, write_table
from luban.predictor import check_finite, known

if TYPE_CHECKING:
    from luban.evaluation.compare import RunComparison


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
    from luban.evaluation.prediction_sets import PredictionSets

    if output is not None:
        output = check_output(output, [data, *read_by(run)], overwrite=overwrite)
    model = Model.load(run)
    parts = model.predictor.parts
    sets = [] if level is None else [PredictionSets.load(model.directory, part.task, level) for part in parts]
    table = model.read(str(data))
    prediction = model.prediction(table)
    added = prediction.frame
    for part, outputs, own in zip(parts, prediction.parts, sets, strict=False):
        added = added.hstack(known(own.columns(part.task, outputs), outputs))
    added = added.rename(free_names(added.columns, table.columns))
    frame = table.frame.hstack(added)
    notes = [*prediction.notes, *(part.decision for part in parts if part.decision is not None)]
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
        compare.require_one_target(model.directory, model.predictor.task)
        table, targets = model.labelled(str(data))
        outputs = model.predictor.predict(table).outputs
        check_finite(outputs, table)
        return compare.Judged(model.directory, model.predictor.task, table.row_numbers, targets, outputs, is_named=True)

    return compare.compare(judged(run_a), judged(run_b))


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
