"""Outputs that are no numbers are never an answer: the row has none, and it is said which."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import torch
from tests.contract.task_rows import CELL_TASKS

from luban.core.errors import DataError
from luban.core.tensors import Columns, Ragged, only
from luban.data.table import Table
from luban.explain.explain import explain_table
from luban.features.base import Feature, FitContext
from luban.features.number import NumberConfig, NumberFeature
from luban.features.schema import Schema
from luban.features.text.feature import TextConfig
from luban.features.words import WordsFeature
from luban.models.choice import NetworkConfig
from luban.models.network import Network, specify
from luban.predictor import Predictor, known
from luban.tasks import TASKS
from luban.tasks.base import Task

ROWS = 12
TARGETS = {
    "binary": ["no", "yes"] * 6,
    "multiclass": ["red", "green", "blue"] * 4,
    "multi_label": ["a;b", "b", "c;a"] * 4,
    "regression": [row / 7 for row in range(ROWS)],
    "tags": [["O", "B-X"] * row + ["O"] for row in range(ROWS)],
}
WORDS = [["w"] * len(row) for row in TARGETS["tags"]]  # of each row another number


class Spoiled(Network):
    """Gives NaN for the rows that it is told, and infinity for the last of them."""

    rows: tuple[int, ...] = ()

    def forward(self, inputs: Columns) -> Columns:
        outputs = super().forward(inputs)
        (name, found), given = next(iter(outputs.items())), inputs["x"]
        values = (found.values if isinstance(found, Ragged) else found).clone()
        if isinstance(given, Ragged) and isinstance(found, Ragged):  # row n has 2 n + 1 words between two ends
            asked = (given.lengths - 3) // 2
            places = torch.repeat_interleave(torch.arange(len(asked)), found.lengths)
        else:
            asked, places = only({"x": given})[:, 0].round().int(), torch.arange(len(values))
        for place, row in enumerate(asked[places].tolist()):
            if row in self.rows:
                values[place] = torch.inf if row == self.rows[-1] else torch.nan
        return {name: Ragged(values, found.offsets) if isinstance(found, Ragged) else values}


def table(task: type[Task] = TASKS[0]) -> Table:
    cells = WORDS if task.name == "tags" else [float(row) for row in range(ROWS)]
    return Table(pl.DataFrame({"x": cells}), "rows.csv", None, np.arange(1, ROWS + 1))


def predictor_of(task: type[Task], rows: tuple[int, ...]) -> Predictor:
    frame = table(task).frame
    feature: Feature
    if task.name == "tags":
        feature = WordsFeature.fit("x", ("x",), frame, TextConfig(tokenizer="words"), FitContext())
    else:
        feature = NumberFeature.fit("x", ("x",), frame, NumberConfig(scaling="none"), FitContext())
    fitted = task.fit(pl.Series("target", TARGETS[task.name])).bound({"x": feature.kind})
    schema = Schema((feature,), {}, "target")
    hidden = [] if task.name == "tags" else [4]
    config = NetworkConfig.model_validate({"tokens": {"architecture": "lstm", "dim": 4, "hidden": 4}, "hidden": hidden})
    spec = specify(config, schema.specs(), fitted.heads())
    network = Spoiled(spec)
    network.rows = rows
    return Predictor(schema, fitted, spec, network, torch.device("cpu"))


@pytest.mark.parametrize("task", CELL_TASKS, ids=lambda task: task.name)
def test_row_without_finite_outputs_has_no_prediction_and_is_named(task: type[Task]) -> None:
    whole = predictor_of(task, ()).predict(table(task))
    assert whole.notes == []
    assert sum(whole.frame.null_count().row(0)) == 0
    found = predictor_of(task, (3, 7)).predict(table(task))
    assert found.notes == [
        "rows.csv: 2 of 12 rows have no prediction, since the outputs of the network are not finite (the first: row 4)"
    ]
    for column in found.frame:
        assert np.flatnonzero(column.is_null()).tolist() == [3, 7]
    assert found.frame.schema == whole.frame.schema


@pytest.mark.parametrize("task", CELL_TASKS, ids=lambda task: task.name)
def test_no_row_with_finite_outputs_is_an_error(task: type[Task]) -> None:
    with pytest.raises(DataError, match=r"rows.csv: expected rows for which .* finite, found 12 of 12 .* row 1\)"):
        predictor_of(task, tuple(range(ROWS))).predict(table(task))


def test_row_without_finite_outputs_is_not_explained() -> None:
    predictor = predictor_of(TASKS[0], (0, 3))
    with pytest.raises(DataError, match=r"found 1 of 1 for which they are not \(the first: row 1\)"):
        explain_table(predictor, table(), [0])


def test_what_is_made_of_outputs_is_null_where_they_are_not_finite() -> None:
    frame = pl.DataFrame({"low": [1.0, 2.0, 3.0], "set": [["a"], ["b"], ["c"]]})
    outputs = np.array([[0.5, 0.5], [np.nan, 0.5], [0.1, np.inf]])
    assert known(frame, outputs).to_dict(as_series=False) == {"low": [1.0, None, None], "set": [["a"], None, None]}
    assert known(frame, np.ones((3, 2))) is frame
    assert json.loads(known(frame, outputs[:, 0]).write_json())[1] == {"low": None, "set": None}
