from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from luban.core.errors import DataError
from luban.data.table import Table
from luban.features import schema
from luban.features.base import FitContext
from luban.features.parsing.columns import as_trained, in_one_writing
from luban.features.parsing.recognised import require_recognised
from luban.features.schema import Schema
from luban.tasks.classification import Binary
from luban.tasks.targets import integers_note, profiled, unseen_labels

ROWS = 40


def table(**columns: Any) -> Table:
    frame = pl.DataFrame(columns)
    return Table(frame, "new.csv", None, np.arange(1, frame.height + 1))


def fitted(rows: Table) -> Schema:
    return schema.fit(schema.plan(rows, target=None), rows, schema.FeaturesConfig(), FitContext())


TRAINED = fitted(table(color=["Red", "Blue"] * (ROWS // 2), size=[f"{number}.5" for number in range(ROWS)]))


def check(**columns: Any) -> None:
    rows = table(**columns)
    bad = {position: ("size", reason) for position, reason in TRAINED.features[1].encode(rows.frame).bad.items()}
    require_recognised(TRAINED.features, rows, bad)


def test_categories_in_another_case_are_an_error_that_says_so() -> None:
    with pytest.raises(DataError) as error:
        check(color=["red", "blue"] * (ROWS // 2), size=["1"] * ROWS)
    assert str(error.value) == (
        "new.csv, column 'color': expected values that the training had, such as 'Blue', 'Red', found others in "
        "40 of 40 "
        "rows, such as 'blue', 'red'; they differ in case: 'blue' here, 'Blue' in training. Write them as in the "
        "training "
        "rows, or leave the cells empty to predict without them."
    )


def test_half_of_the_cells_and_few_rows_are_no_error() -> None:
    check(color=["Red", "red"] * (ROWS // 2), size=["1"] * ROWS)
    check(color=["red"], size=["1"])
    check(color=[None] * ROWS, size=["1"] * ROWS)


def test_new_values_are_no_error_where_training_had_rare_ones() -> None:
    shops = [f"shop{number % 12:02}" for number in range(ROWS)] + [f"only{number}" for number in range(5)]
    features = fitted(table(shop=shops)).features
    require_recognised(features, table(shop=[f"new{number}" for number in range(ROWS)]), {})
    with pytest.raises(DataError, match="they differ in case: 'SHOP00' here, 'shop00' in training"):
        require_recognised(features, table(shop=[shop.upper() for shop in shops[:ROWS]]), {})


def test_numbers_that_cannot_be_read_are_an_error() -> None:
    with pytest.raises(DataError) as error:
        check(color=["Red"] * ROWS, size=["about 7"] * 30 + ["1"] * 10)
    assert str(error.value) == (
        "new.csv, column 'size': expected cells that can be read as those of the training were, found 30 of 40 "
        "that cannot "
        "(the first: row 1, expected a number, found 'about 7'). Write them as in the training rows, or leave the "
        "cells "
        "empty to predict without them."
    )


def test_another_unit_is_told() -> None:
    train = in_one_writing(table(weight=["5 kg", "6 kg"]), ["weight"], [])
    found = as_trained(table(weight=["500 g", "7 kg"]), train.numbers, {})
    assert found.notes == ("column 'weight': cells in 'g' cannot be read, since training had 'kg'",)
    assert found.table.frame["weight"].to_list() == ["500 g", "7"]


def test_labels_in_another_case_are_an_error_that_says_so() -> None:
    task = Binary("y", ["Ham", "Spam"], [5, 5])
    rows = table(y=["ham", "spam"] * 20)
    _, bad = task.encode(rows.frame["y"])
    with pytest.raises(DataError) as error:
        unseen_labels(rows, "y", bad, task.names)
    assert str(error.value) == (
        "new.csv, target 'y': expected labels of the training rows in all but 1% of the rows, found others in 40 "
        "of 40: "
        "'ham', 'spam'; they differ in case: 'ham' here, 'Ham' in training. Write them as in the training rows."
    )


def test_whole_numbers_that_may_be_classes_are_noted() -> None:
    profile = profiled(table(y=[number % 30 for number in range(300)]), "y")
    assert integers_note(profile) == (
        "'y' has 30 different whole numbers and is taken as a quantity (regression); set data.task=multiclass if "
        "they are "
        "the names of classes"
    )
    assert integers_note(profiled(table(y=[number / 2 for number in range(300)]), "y")) == ""
    assert integers_note(profiled(table(y=list(range(300))), "y")) == ""
    assert integers_note(profiled(table(y=[number % 5 for number in range(300)]), "y")) == ""


def test_a_target_in_several_spellings_has_two_classes() -> None:
    assert profiled(table(y=["0", "1", "1.0"] * 20), "y").num_unique == 2
    assert profiled(table(y=["True", "FALSE", "true", None] * 20), "y").num_unique == 2
