"""A trained model as a person uses it: predict, evaluate, explain."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from luban.core.artifact import RunDirectory
from luban.core.errors import ConfigError, DataError, SchemaError, listed, nearest
from luban.core.shown import shown
from luban.data import samples, sources
from luban.data.config import data_settings
from luban.data.table import Table
from luban.evaluation.criteria import Criteria
from luban.evaluation.evaluate import Evaluation, evaluate
from luban.evaluation.stored import read_scores
from luban.predictor import Prediction, Predictor, check_finite
from luban.tasks.base import Array
from luban.tasks.targets import unseen_labels
from luban.tasks.validated import Validated

if TYPE_CHECKING:
    from luban.explain.result import Explanations


@dataclass(frozen=True)
class Model:
    """A trained model. directory: its run directory. metrics: its scores on the test rows. separator, encoding,
    sheet: of the training data, where they were set."""

    predictor: Predictor
    directory: RunDirectory
    metrics: dict[str, Any]
    separator: str | None = None
    encoding: str | None = None
    sheet: str | None = None

    @classmethod
    def load(cls, path: str | Path) -> Model:
        """Open a finished run. Raises ArtifactError."""
        directory = RunDirectory.open(path)
        reading = data_settings(directory)
        predictor = Predictor.load(path)
        return cls(
            predictor,
            directory,
            read_scores(directory, predictor.task),
            reading.separator,
            reading.encoding,
            reading.sheet,
        )

    def __repr__(self) -> str:
        decider = self.metrics["decider"]
        value = self.metrics["scores"][decider]["value"]
        shown = "undefined" if value is None else f"{value:.4f}"
        return f"Model('{self.directory.path}', {self.predictor.task.name}, {decider} {shown})"

    def read(self, rows: object) -> Table:
        """Read rows as the training data were read; what stands before decimals each file tells itself."""
        if isinstance(rows, str):
            rows = samples.resolve(rows) or rows
        return sources.read(rows, separator=self.separator, encoding=self.encoding, sheet=self.sheet)

    def predict(self, rows: object) -> pl.DataFrame:
        """Predict every row of a table or path, in order; warns of what is unusual in it.

        Returns the label or value of each row, and probabilities.
        """
        table = self.read(rows)
        prediction = self.prediction(table)
        for note in prediction.notes:
            warnings.warn(shown(note), stacklevel=2)
        return prediction.frame

    def prediction(self, table: Table) -> Prediction:
        """Predict a table that was read; also returns what was unusual in it."""
        prediction = self.predictor.predict(table)
        return replace(prediction, notes=[*prediction.notes, *left_out(table)])

    def evaluate(self, rows: object, by: str | None = None) -> Evaluation:
        """Score and judge a table or path that has the target column; warns of what is unusual in it.

        What decides, the promised coverage and the column whose groups are compared are those of the training; by:
        another column. Raises SchemaError where the target is not there.
        """
        evaluation, notes = self.judged(rows, by)
        for note in notes:
            warnings.warn(shown(note), stacklevel=2)
        return evaluation

    def judged(self, rows: object, by: str | None = None) -> tuple[Evaluation, list[str]]:
        """Score and judge as `evaluate` does; return what was unusual, too, a sentence each."""
        # scipy.stats takes longer to import than all that a prediction needs
        from luban.evaluation.caution import cautions
        from luban.evaluation.fairness import num_groups
        from luban.evaluation.judgement import judge
        from luban.evaluation.slices import MAX_VALUES, MIN_ROWS

        rows, read = self.predictor.as_trained(self.read(rows))
        table, targets = self.labelled(rows)
        if by is not None:
            table.require(by)
            if (found := num_groups(table.frame[by])) > MAX_VALUES:
                raise DataError(
                    f"{table.name}, column '{by}'",
                    expected=f"at most {MAX_VALUES} groups of {MIN_ROWS} rows or more to compare",
                    found=str(found),
                    action="Give a column of fewer, wider groups",
                )
        task, prediction = self.predictor.task, self.predictor.predict(table)
        outputs = prediction.outputs
        check_finite(outputs, table)
        kinds = {column: feature.kind for feature in self.predictor.schema.features for column in feature.columns}
        criteria = Criteria.load(self.directory, task)
        column, notes = by, list[str]()
        if by is None and (column := criteria.config.fairness_column) is not None and column not in table.columns:
            column, notes = None, [f"{table.name} has no column '{column}', whose groups were compared in the training"]
        evaluation = evaluate(task, targets, outputs, {}, decider=criteria.decider.name, seed=criteria.seed)
        judgement = judge(
            task,
            table,
            targets,
            outputs,
            kinds,
            Validated.load(self.directory, task),
            level=criteria.config.level,
            by=column,
            seed=criteria.seed,
        )
        careful = cautions(task, targets, outputs)
        if column is not None and judgement.fairness is None:
            few = DataError(
                f"{table.name}, column '{column}'",
                expected=f"two groups of {MIN_ROWS} rows or more to compare",
                found="fewer",
                action="Give more rows, or another column",
            )
            if by is not None:
                raise few
            notes.append(str(few))
        return replace(evaluation, judgement=judgement), [
            *read,
            *prediction.notes,
            *notes,
            *careful,
            *not_scored(table),
        ]

    def labelled(self, rows: object) -> tuple[Table, Array]:
        """Return the rows whose target can be read, and their targets."""
        (table, _), task = self.predictor.as_trained(self.read(rows)), self.predictor.task
        if task.target not in table.columns:
            raise SchemaError(
                table.name,
                expected=f"the target '{task.target}', to compare the predictions with",
                found=f"only {listed(table.columns)}",
                action=f"{nearest(task.target, table.columns)}Give labelled rows; `luban predict` needs no labels",
            )
        targets, bad = task.encode_targets(table.frame)
        reasons = {position: reason for position, (_, reason) in bad.items()}
        unseen_labels(table, task.target, reasons, task.names)  # says why there are many
        checked = table.without(bad)
        checked.check_rejected()
        kept = np.setdiff1d(np.arange(len(table)), np.fromiter(bad, np.int64, len(bad)))
        return checked, task.truth(targets, kept)

    def explain(
        self, rows: object, which: Sequence[int] | None = None, *, method: str = "auto", nearest: int = 0
    ) -> Explanations:
        """Say why the model predicts what it does, of every row of a table or path, or of those at the positions in
        `which`, counted from 0; each explanation comes with its check.

        method: `auto`, `integrated-gradients`, `occlusion`, `lime` or `kernel-shap`. nearest: how many like rows of the
        training source are shown, which must still be where it was. Raises ConfigError, DataError, SchemaError.
        """
        from luban.explain.explain import explain_table

        table, _ = self.predictor.as_trained(self.read(rows))
        return explain_table(
            self.predictor,
            table,
            range(len(table)) if which is None else which,
            method=method,
            metric=self.metrics["decider"],
            source=self.training_source() if nearest else None,
            neighbours=nearest,
        )

    def training_source(self) -> Table:
        """Read the rows that the model was trained on, without those that it was tested on.

        Raises ConfigError where they came from memory, DataError where the source is not there any more.
        """
        data = data_settings(self.directory)
        if data.train is None:
            raise ConfigError(
                str(self.directory.path),
                expected="data.train in its configuration, to find like rows of the training",
                found="none, since it was trained on a table in memory",
                action="Leave out nearest",
            )
        table, _ = self.predictor.as_trained(self.read(data.train))
        if data.test is not None:
            return table
        tested = self.directory.predictions()["row"].to_numpy()
        return table.take(np.flatnonzero(~np.isin(table.row_numbers, tested)))


def left_out(table: Table) -> list[str]:
    """Say which rows could not be read and so have no prediction."""
    if not table.rejected:
        return []
    rows = listed((row.row for row in table.rejected), limit=20)
    return [f"{table.name}: {len(table.rejected)} rows cannot be read and have no prediction: rows {rows}"]


def not_scored(table: Table) -> list[str]:
    """Say how many labelled rows could not be read, target included, and so are in no score."""
    if not table.rejected:
        return []
    first, total = table.rejected[0], len(table) + len(table.rejected)
    return [
        f"{table.name}: {len(table.rejected)} of {total} rows cannot be read and are left out of the scores "
        f"(the first: row {first.row}, {first.reason})"
    ]
