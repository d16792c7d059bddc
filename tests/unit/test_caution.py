"""What is said where intervals may be too narrow."""

from __future__ import annotations

import numpy as np
import polars as pl

from luban.evaluation.caution import cautions
from luban.tasks.classification import Binary
from luban.tasks.multi_label import MultiLabel
from luban.tasks.regression import Regression

NUMBERS = Regression("y", 0.0, 1.0)


def test_a_class_of_few_rows_is_named() -> None:
    task, outputs = Binary.fit(pl.Series("y", ["no", "yes"])), np.full((30, 2), 0.5)
    targets = np.repeat([0, 1], [27, 3])
    (said,) = cautions(task, targets, outputs)
    assert said.startswith("1 label has fewer than 15 of the scored rows, 'yes' 3: the intervals of scores that all")
    (said,) = cautions(Binary.fit(pl.Series("y", [False, True])), targets, outputs)
    assert "'true' 3" in said
    assert cautions(task, np.repeat([0, 1], [15, 15]), outputs) == []
    assert cautions(task, np.zeros(30, np.int64), outputs) == []  # a class that is not there is in no score
    labels = MultiLabel.fit(pl.Series("y", ["a;b", "c"]))
    present = np.zeros((30, 3), np.uint8)
    present[:15, 0], present[:4, 1], present[:2, 2] = 1, 1, 1
    (said,) = cautions(labels, present, np.full((30, 3), 0.5))
    assert said.startswith("2 labels have fewer than 15 of the scored rows, 'b' 4:")


def test_a_row_that_outweighs_the_others_is_told() -> None:
    targets = np.random.default_rng(0).normal(size=40)
    assert cautions(NUMBERS, targets, np.zeros(40)) == []
    assert cautions(NUMBERS, targets, targets) == []
    targets[7] = 10.0
    (said,) = cautions(NUMBERS, targets, np.zeros(40))
    share = 100 / (targets**2).sum()
    assert (
        said == f"one row makes {share:.0%} of the squared error: the intervals of MSE, RMSE and R² may be too narrow"
    )
