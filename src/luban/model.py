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
from luban.core.errors import ConfigError, listed
from luban.core.shown import shown
from luban.data import samples, sources
from luban.data.config import data_settings
from luban.data.table import Table
from luban.evaluation.evaluate import Evaluation
from luban.evaluation.stored import read_scores
from luban.predictor import Prediction, Predictor

if TYPE_CHECKING:
    from luban.evaluation.labelled import Answered
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

    def predict(self, rows: object, *, horizon: int | None = None) -> pl.DataFrame:
        """Predict every row of a table or path, in order; warns of what is unusual in it.

        Returns the label or value of each row, and probabilities; of a forecast a row for each step behind each series,
        the first `horizon` of those that the run was trained for. Raises ConfigError where these are fewer.
        """
        table = self.read(rows)
        prediction = self.prediction(table, horizon)
        for note in prediction.notes:
            warnings.warn(shown(note), stacklevel=2)
        return prediction.frame

    def prediction(self, table: Table, horizon: int | None = None) -> Prediction:
        """Predict a table that was read; also returns what was unusual in it."""
        prediction = self.predictor.predict(table, horizon)
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
        from luban.evaluation.labelled import judged

        table, read = self.predictor.as_trained(self.read(rows))
        evaluation, notes = judged(self.predictor, self.directory, table, by)
        return evaluation, [*read, *notes]

    def answered(self, rows: object, target: str | None = None) -> Answered:
        """Return the rows whose target can be read, their targets, and what the model says of them. target: of several,
        the first if None."""
        from luban.evaluation.labelled import answered

        table, _ = self.predictor.as_trained(self.read(rows))
        several = len(self.predictor.parts) > 1
        return answered(self.predictor.part(target), table, self.directory, may_lack=several)

    def explain(
        self,
        rows: object,
        which: Sequence[int] | None = None,
        *,
        method: str = "auto",
        nearest: int = 0,
        target: str | None = None,
    ) -> Explanations:
        """Say why the model predicts what it does, of every row of a table or path, or of those at the positions in
        `which`, counted from 0; each explanation comes with its check.

        method: `auto`, `integrated-gradients`, `occlusion`, `lime` or `kernel-shap`. nearest: how many like rows of the
        training source are shown, which must still be where it was. target: of several; the first if None.
        Raises ConfigError, DataError, SchemaError.
        """
        from luban.explain.explain import explain_table

        table, _ = self.predictor.as_trained(self.read(rows))
        part = self.predictor.part(target)
        return explain_table(
            part,
            table,
            range(len(table)) if which is None else which,
            method=method,
            metric=self.metrics.get("targets", {}).get(part.task.target, self.metrics)["decider"],
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
