"""Tables of thousands of columns: what a column costs does not grow with their number, and what is left out is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from one_target import targets_of

from luban.config import RunConfig
from luban.core.errors import DataError
from luban.data.split.notes import require_rows_of_wide
from luban.data.table import Table
from luban.evaluation.mistakes import MAX_COLUMNS, find_mistakes
from luban.explain import examples, importance
from luban.features import cache, media, schema
from luban.features.base import FitContext
from luban.features.dataset import Dataset
from luban.features.schema import FeaturesConfig, Schema
from luban.models import network as networks
from luban.models.choice import complete
from luban.models.network import Network
from luban.predictor import Predictor
from luban.report.content import Content, Record
from luban.report.language.words import words
from luban.report.page import environment
from luban.report.sections import data, mistakes, usage
from luban.tasks.base import Task
from luban.tasks.classification import Binary

ROWS = 12
FEW = 400
SLOWER = 8  # for four times the columns: 16 is what a look at all columns for each of them takes


def wide(num_columns: int, folder: Path | None = None) -> Table:
    cells = np.random.default_rng(0).normal(size=(ROWS, num_columns)).round(3)
    frame = pl.DataFrame({f"f{number}": cells[:, number] for number in range(num_columns)})
    answers = pl.Series("y", ["a", "b"] * (ROWS // 2))
    return Table(frame.with_columns(answers), "wide", folder, np.arange(1, ROWS + 1))


def fitted(table: Table) -> Schema:
    plans = schema.plan(table, target="y")
    return schema.fit(plans, table, FeaturesConfig(), FitContext())


def seconds(function: Callable[[], object]) -> float:
    """CPU seconds, the least of three."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return min(taken)


def test_what_a_column_costs_does_not_grow_with_their_number() -> None:
    small, large = wide(FEW), wide(4 * FEW)
    of_small, of_large = fitted(small), fitted(large)
    stages: list[Callable[[Schema, Table], object]] = [
        lambda fitted, table: cache.encode(fitted, table, None, None),
        lambda fitted, table: fitted.as_trained(table),
        lambda fitted, table: fitted.check(table),
        lambda _, table: fitted(table),
    ]
    for stage in stages:
        taken = seconds(lambda run=stage: run(of_large, large)) / seconds(lambda run=stage: run(of_small, small))
        assert taken < SLOWER


def test_folders_are_listed_once_for_all_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("0.5.PNG", "7"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "12.jpg").write_bytes(b"")
    (tmp_path / "half.d").mkdir()
    asked = []
    found = media._found
    monkeypatch.setattr(media, "_found", lambda folder, cell: asked.append(cell) or found(folder, cell))
    names_file = media.file_namer(tmp_path)
    assert not any(names_file(f"{number / 1000}") for number in range(200))
    assert asked == []
    assert [cell for cell in ("0.5", "0.5.PNG", "7", "12", "half", "8", "0.5.", "below/12") if names_file(cell)] == [
        "0.5",
        "0.5.PNG",
        "7",
        "12",
        "below/12",
    ]
    monkeypatch.setattr(media, "MAX_PROBED_ENTRIES", 1)  # of a folder with more, each name is looked for
    assert media.file_namer(tmp_path)("0.5")


def test_of_a_wrong_row_the_first_columns_are_kept() -> None:
    table = wide(MAX_COLUMNS + 5)
    task = Binary.fit(table.frame["y"])
    targets, _ = task.encode(table.frame["y"])
    kinds = {name: "number" for name in table.columns if name != "y"} | {"f104": "sequence"}
    table = Table(table.frame.with_columns(f104=pl.Series([[1.0, 2.0]] * ROWS)), "wide", None, table.row_numbers)
    found = find_mistakes(task, table, targets, np.eye(2)[1 - targets.astype(int)] * 0.8 + 0.1, kinds)
    assert list(found[0]["cells"]) == [f"f{number}" for number in range(MAX_COLUMNS - 1)]
    assert list(found[0]["series"]) == ["f104"]
    inferred = Record({"event": "SchemaInferred", "columns": [(name, kind, "", "") for name, kind in kinds.items()]}, 0)
    content = Content(Path("run"), {}, {}, {"task": "binary", "mistakes": found}, {}, {}, {}, (inferred,), ())
    view = mistakes.build(content, words("en"))
    assert view is not None
    assert ">99<" in str(view["cut"])
    few = mistakes.build(replace(content, events=()), words("en"))
    assert few is not None
    assert few["cut"] == ""


def trained(table: Table) -> tuple[Predictor, Dataset, Task]:
    columns = fitted(table)
    task = Binary.fit(table.frame["y"])
    config, _ = complete(RunConfig().model, {spec.kind for spec in columns.specs()}, chinese=False)
    spec = networks.specify(config, columns.specs(), task.heads())
    torch.manual_seed(0)
    predictor = Predictor(columns, task, spec, Network(spec), torch.device("cpu"))
    inputs, _ = cache.encode(columns, table, None, None)
    targets, _ = task.encode(table.frame["y"])
    return predictor, Dataset.of(columns, inputs, targets_of(targets)), task


def test_of_many_columns_some_are_measured_and_no_row_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "MAX_COLUMNS", 4)
    monkeypatch.setattr(examples, "MAX_COLUMNS", 4)
    monkeypatch.setattr(examples, "MANY_COLUMNS", 6)
    table = wide(7)
    predictor, dataset, task = trained(table)
    metric = task.metrics[0]
    found, notes = examples.explain_examples(predictor, table, dataset, [1], metric, 0)
    assert len(found.importance) == 4
    assert notes[0] == "importance is measured for 4 of 7 columns"
    assert notes[1].startswith("no row is explained, since that takes long with this model")
    assert not found.rows
    few = wide(4)
    predictor, dataset, task = trained(few)
    found, notes = examples.explain_examples(predictor, few, dataset, [1], metric, 0)
    assert len(found.importance) == 4
    assert found.rows
    assert notes == []


def test_a_page_lists_some_of_many_columns_and_says_so() -> None:
    columns = [(f"f{number}", "number", "", "") for number in range(data.MAX_COLUMNS + 7)]
    inferred = Record({"event": "SchemaInferred", "columns": columns}, 0)
    config = {"seed": 0, "data": {"target": "y", "columns": {name: kind for name, kind, *_ in columns}}}
    content = Content(Path("run"), config, {}, {}, {}, {}, {}, (inferred,), ())
    view = data.build(content, words("en"))
    assert view is not None
    assert (len(view["columns"]), view["more_columns"].value) == (data.MAX_COLUMNS, 7)
    used = usage.build(content, words("en"))
    assert used["left_out"].value == len(columns) - usage.MAX_COLUMNS
    assert used["config"].count(": number") == usage.MAX_COLUMNS
    assert config["data"]["columns"].keys() == dict.fromkeys(name for name, *_ in columns).keys()
    page = environment().from_string("{% import 'macros.html' as m %}{% include 'usage.html' %}")
    assert "more columns, which are in config.yaml" in page.render(v=used, words=words("en"))
    few = replace(content, config={"data": {"columns": {"a": "number"}}})
    assert usage.build(few, words("en"))["left_out"] is None


def test_a_wide_table_of_few_rows_is_refused_before_it_is_looked_at() -> None:
    table = replace(wide(1_001), row_numbers=np.arange(1, 3))
    few = replace(table, frame=table.frame.head(2))
    with pytest.raises(DataError, match="expected at least 10 rows to split, found 2"):
        require_rows_of_wide(few, "auto")
    require_rows_of_wide(few, "none")
    require_rows_of_wide(table, "auto")
    require_rows_of_wide(replace(few, frame=few.frame[["f0", "y"]]), "auto")  # which says more by itself
