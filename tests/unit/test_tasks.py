"""What a target column asks for, its labels, losses and predictions."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.nn import functional as F

from luban.core.errors import ConfigError, DataError
from luban.data.table import Table
from luban.features.base import ColumnProfile
from luban.tasks import infer_task
from luban.tasks.base import LossConfig
from luban.tasks.classification import Binary, Multiclass
from luban.tasks.multi_label import MultiLabel
from luban.tasks.regression import Regression
from luban.tasks.targets import unseen_labels


def profile(cells: list[Any], dtype: Any = None) -> ColumnProfile:
    series = pl.Series("y", cells, dtype=dtype)
    missing = series.is_null() | (series == "" if series.dtype == pl.String else series.is_null())
    present = series.filter(~missing)
    return ColumnProfile("y", present, len(series), int(missing.sum()), present.n_unique())


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        ([True, False, True], "binary"),
        ([True, True, True], "binary"),
        (["0", "1", "1", "0"], "binary"),
        (["no", "yes", "", "no"], "binary"),
        ([1.0, 0.0, None], "binary"),
        (["red", "green", "blue", "red"], "multiclass"),
        ([0, 1, 2] * 4, "multiclass"),
        (["0", "1", "2"] * 4, "multiclass"),
        ([1.0, 2.0, 3.0] * 4, "multiclass"),
        (list(range(15)), "regression"),
        (list(range(50)) * 3, "regression"),
        (["1.5", "2.25", "3.5"] * 4, "regression"),
        (["1.5", "2.25", "3.5"] * 10 + ["n/a"], "regression"),
        ([["a", "b"], ["a"], []], "multi_label"),
        (["a;b", "b", "a;c", "c", "a", "b;c"] * 4, "multi_label"),
    ],
)
def test_the_task_is_inferred_from_the_cells(cells: list[Any], task: str) -> None:
    assert infer_task(profile(cells)).name == task


def test_a_named_task_is_taken() -> None:
    assert infer_task(profile([0, 1, 1]), "regression") is Regression


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"data.task: expected one of .*'regression', 'forecast', found 'regresion'. Did you mean"
    ):
        infer_task(profile([0, 1]), "regresion")


def test_a_target_that_is_neither_label_nor_number_is_refused() -> None:
    with pytest.raises(DataError, match=r"target 'y': expected labels or numbers, found cells of type Binary"):
        infer_task(profile([b"x", b"y"]))


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        (["b", "a", "b", None, ""], ["a", "b"]),
        (["10", "9", "9"], ["9", "10"]),
        ([10, 9, 9], [9, 10]),
        ([True, False], [False, True]),
        ([1.0, 0.0, math.nan, math.inf], [0, 1]),
        ([1.5, 1.0], [1.0, 1.5]),
    ],
)
def test_labels_keep_their_type_and_are_sorted(cells: list[Any], labels: list[Any]) -> None:
    task = Binary.fit(pl.Series("y", cells))
    assert task.labels == labels
    assert [type(label) for label in task.labels] == [type(label) for label in labels]
    decoded = task.decode(np.array([[0.9, 0.1], [0.2, 0.8]]))
    assert decoded["predicted_y"].to_list() == labels
    assert decoded.columns == ["predicted_y", *(f"probability_{name}" for name in task.names)]
    assert decoded[:, 1:].rows() == [(0.9, 0.1), (0.2, 0.8)]


def test_categories_are_labels() -> None:
    task = Binary.fit(pl.Series("y", ["b", "a", "b"], dtype=pl.Categorical))
    assert task.labels == ["a", "b"]
    assert Binary.fit(pl.Series("y", ["1.00", "2.00"]).cast(pl.Decimal(10, 2))).labels == [1, 2]


def test_a_label_is_known_by_what_it_is_called() -> None:
    task = Multiclass.fit(pl.Series("y", ["0", "1", "2"] * 3))
    for other in ([2, 0, 1], [2.0, 0.0, 1.0], [" 2", "0", "1 "]):
        encoded, bad = task.encode(pl.Series("y", other))
        assert encoded.tolist() == [2, 0, 1]
        assert not bad


def test_targets_that_cannot_be_encoded_are_named() -> None:
    task = Multiclass.fit(pl.Series("y", ["a", "b", "c"] * 3))
    encoded, bad = task.encode(pl.Series("y", ["a", None, "", "d", "c"]))
    assert encoded.tolist() == [0, 0, 0, 0, 2]
    assert bad == {
        1: "the target is missing",
        2: "the target is missing",
        3: "the label 'd' is not among those of the training rows",
    }
    assert Binary.fit(pl.Series("y", [0.0, 1.0])).encode(pl.Series("y", [math.inf, math.nan]))[1] == {
        0: "the target is infinite",
        1: "the target is missing",
    }


@pytest.mark.parametrize(
    ("task", "cells", "message"),
    [
        (Binary, ["a", "a"], r"target 'y': expected two different labels or more, found only 'a' in all rows"),
        (Multiclass, [None, ""], r"target 'y': expected a label in each row, found none in 2 rows"),
        (Binary, ["a", "b", "c"], r"expected two labels, found 3: 'a', 'b', 'c'. Set data.task=multiclass"),
        (
            Multiclass,
            [str(i) for i in range(30)],
            r"found 30 different ones in 30 rows. If it is a quantity, set data.task=reg",
        ),
        (Multiclass, [[1], [2]], r"expected one label a row, found cells of type List"),
        (MultiLabel, [None, ""], r"target 'y': expected a label in some row, found none in 2 rows"),
        (MultiLabel, [1, 2], r"expected strings of labels, or lists, found cells of type Int64"),
        (Regression, ["x", None], r"target 'y': expected a number in each row, found none in 2 rows"),
        (Regression, [3, 3], r"target 'y': expected numbers that differ, found 3 in all rows"),
        (Regression, [1e308, -1e308], r"expected numbers whose variance can be computed, found 1e\+308"),
    ],
)
def test_a_target_that_cannot_be_learned_is_refused(task: Any, cells: list[Any], message: str) -> None:
    series = pl.Series("y", cells, dtype=pl.String if cells[0] is None else None)
    with pytest.raises(DataError, match=message):
        task.fit(series)


def test_cross_entropy_is_torchs() -> None:
    task = Multiclass.fit(pl.Series("y", ["a"] * 6 + ["b"] * 3 + ["c"]))
    logits, targets = torch.randn(8, 3), torch.tensor([0, 1, 2, 0, 1, 2, 0, 0])
    torch.testing.assert_close(
        task.configured(LossConfig()).row_loss(logits, targets), F.cross_entropy(logits, targets, reduction="none")
    )
    config = LossConfig(label_smoothing=0.1, class_weights="balanced")
    weights = torch.tensor([10 / 18, 10 / 9, 10 / 3])
    expected = F.cross_entropy(logits, targets, weight=weights, label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(task.configured(config).row_loss(logits, targets), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(
    ("class_weights", "weights"),
    [
        (None, [1.0, 1.0]),
        ("balanced", [10 / 12, 10 / 8]),
        ({"yes": 3.0}, [1.0, 3.0]),
        ({"no": 0.5, "yes": 2.0}, [0.5, 2.0]),
    ],
)
def test_binary_cross_entropy_is_torchs(class_weights: Any, weights: list[float], smoothing: float) -> None:
    task = Binary.fit(pl.Series("y", ["no"] * 6 + ["yes"] * 4))
    logits, targets = 5 * torch.randn(8, 1), torch.tensor([0, 1, 1, 0, 1, 0, 0, 0])
    config = LossConfig(label_smoothing=smoothing, class_weights=class_weights)
    expected = F.binary_cross_entropy_with_logits(
        logits[:, 0],
        torch.where(targets == 1, 1 - smoothing / 2, smoothing / 2),
        weight=torch.tensor(weights)[targets],
        reduction="none",
    )
    losses = task.configured(config).row_loss(logits, targets)
    assert losses.shape == (8,)
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(task.configured(config).row_loss(logits[:1], targets[:1]), expected[:1])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_logit_is_the_difference_of_two(smoothing: float) -> None:
    task = Binary.fit(pl.Series("y", ["no", "yes"]))
    assert task.output_dim == 1
    logits, targets = torch.tensor([[-3.0], [-0.5], [0.0], [40.0], [-40.0]]), torch.tensor([0, 1, 1, 1, 0])
    both = torch.cat([torch.zeros_like(logits), logits], dim=1)
    expected = F.cross_entropy(both, targets, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(
        task.configured(LossConfig(label_smoothing=smoothing)).row_loss(logits, targets), expected
    )
    torch.testing.assert_close(task.outputs(logits), both.softmax(dim=1), rtol=1e-5, atol=0)


def test_balanced_weights_give_every_class_the_same_say() -> None:
    target = pl.Series("y", ["a"] * 90 + ["b"] * 10)
    task = Binary.fit(target)
    encoded, _ = task.encode(target)
    targets = torch.from_numpy(encoded)
    losses = task.configured(LossConfig(class_weights="balanced")).row_loss(torch.zeros(100, 1), targets)
    assert losses[:90].sum().item() == pytest.approx(losses[90:].sum().item())
    assert losses.mean().item() == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"z": 2.0}, r"train.loss.class_weights: expected labels of the target: 'a', 'b', found 'z'"),
    ],
)
@pytest.mark.parametrize("task", [Binary, MultiLabel])
def test_class_weights_that_mean_nothing_are_refused(task: Any, weights: Any, message: str) -> None:
    fitted = task.fit(pl.Series("y", ["a", "b", "b"]))
    targets = torch.zeros(3, dtype=torch.int64) if task is Binary else torch.zeros(3, 2)
    with pytest.raises(ConfigError, match=message):
        fitted.configured(LossConfig(class_weights=weights)).row_loss(torch.zeros(3, fitted.output_dim), targets)


def test_weights_by_label_leave_the_others_at_one() -> None:
    task = Binary.fit(pl.Series("y", ["a", "b"]))
    losses = task.configured(LossConfig(class_weights={"b": 3.0})).row_loss(torch.zeros(2, 1), torch.tensor([0, 1]))
    torch.testing.assert_close(losses, math.log(2) * torch.tensor([1.0, 3.0]))


def test_settings_of_another_task_are_refused() -> None:
    binary, regression = Binary.fit(pl.Series("y", ["a", "b"])), Regression.fit(pl.Series("y", [1, 2]))
    with pytest.raises(
        ConfigError, match=r"train.loss.loss: expected no such setting for the task binary, found 'mae'"
    ):
        binary.configured(LossConfig(loss="mae")).row_loss(torch.zeros(1, 1), torch.tensor([0]))
    with pytest.raises(
        ConfigError, match=r"train.loss.label_smoothing: expected no such setting for the task regression"
    ):
        regression.configured(LossConfig(label_smoothing=0.1)).row_loss(torch.zeros(1, 1), torch.zeros(1))
    with pytest.raises(ValidationError):
        LossConfig(label_smoothing=1.0)


def test_multi_label_targets_are_rows_of_zeros_and_ones() -> None:
    task = MultiLabel.fit(pl.Series("y", ["b;a", "a", "", "c;a"]))
    assert task.labels == ["a", "b", "c"]
    assert (task.counts, task.num_rows) == ([3, 1, 1], 3)
    encoded, bad = task.encode(pl.Series("y", ["c;b", "a", None, "a;d", "a; a"]))
    assert encoded.tolist() == [[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert bad == {2: "the target is missing", 3: "the label 'd' is not among those of the training rows"}


def test_an_empty_list_is_a_row_without_labels() -> None:
    task = MultiLabel.fit(pl.Series("y", [["a"], ["b", "a"], []]))
    encoded, bad = task.encode(pl.Series("y", [[], ["b"], None], dtype=pl.List(pl.String)))
    assert encoded.tolist() == [[0, 0], [0, 1], [0, 0]]
    assert bad == {2: "the target is missing"}


def test_multi_label_predictions_read_as_targets() -> None:
    task = MultiLabel.fit(pl.Series("y", ["b|a", "a|b", "b|c"]))
    outputs = np.array([[0.9, 0.5, 0.1], [0.1, 0.2, 0.3]])
    decoded = task.decode(outputs)
    assert decoded["predicted_y"].to_list() == ["a|b", ""]
    assert decoded["probability_c"].to_list() == [0.1, 0.3]
    assert task.encode(decoded["predicted_y"])[0][0].tolist() == [1, 1, 0]


def test_multi_label_loss_is_torchs() -> None:
    task = MultiLabel.fit(pl.Series("y", ["a;b", "a", "a;b", "c"]))
    logits, targets = torch.randn(5, 3), torch.randint(0, 2, (5, 3), dtype=torch.uint8)
    config = LossConfig(class_weights="balanced", label_smoothing=0.2)
    expected = F.binary_cross_entropy_with_logits(
        logits, targets * 0.8 + 0.1, pos_weight=torch.tensor([1 / 3, 1.0, 3.0]), reduction="none"
    )
    torch.testing.assert_close(task.configured(config).row_loss(logits, targets), expected.mean(1))


def test_many_labels_get_one_probability_column() -> None:
    many = [f"l{i:03}" for i in range(101)] * 2
    for task in (Multiclass, MultiLabel):
        fitted = task.fit(pl.Series("y", many))
        outputs = np.full((2, 101), 0.001)
        outputs[0, 7] = outputs[1, 9] = 0.9
        decoded = fitted.decode(outputs)
        assert decoded.columns == ["predicted_y", "probability"]
        assert decoded["predicted_y"].to_list() == ["l007", "l009"]
        assert decoded["probability"].to_list() == [0.9, 0.9]


def test_a_hundred_labels_have_a_probability_column_each() -> None:
    labels = [f"l{i:03}" for i in range(100)]
    outputs = np.random.default_rng(0).random((2, 100))
    for task in (Multiclass, MultiLabel):
        decoded = task.fit(pl.Series("y", labels * 2)).decode(outputs)
        assert decoded.columns == ["predicted_y", *(f"probability_{label}" for label in labels)]
        np.testing.assert_array_equal(decoded[:, 1:].to_numpy(), outputs)


def test_regression_targets_are_numbers_in_their_own_unit() -> None:
    task = Regression.fit(pl.Series("y", ["1", "2", "", "x", "6"]))
    assert task.mean == 3.0
    assert task.std == pytest.approx(float(np.std([1, 2, 6])))
    encoded, bad = task.encode(pl.Series("y", ["2.5", None, "x y", "inf", " 4 "]))
    assert encoded.tolist() == [2.5, 3.0, 3.0, 3.0, 4.0]
    assert bad == {1: "the target is missing", 2: "the target 'x y' is not a number", 3: "the target is infinite"}


@pytest.mark.parametrize("name", [None, "mse", "mae", "huber"])
def test_regression_losses_are_torchs_on_the_standardised_scale(name: Any) -> None:
    task = Regression.fit(pl.Series("y", [1.6e9, 1.7e9, 1.8e9]))
    logits, targets = torch.randn(4, 1), torch.tensor([1.5e9, 1.7e9, 1.71e9, 2e9], dtype=torch.float64)
    functions: dict[str, Any] = {"mse": F.mse_loss, "mae": F.l1_loss, "huber": F.huber_loss}
    standardised = ((targets - task.mean) / task.std).float()
    expected = functions[name or "mse"](logits[:, 0], standardised, reduction="none")
    torch.testing.assert_close(task.configured(LossConfig(loss=name)).row_loss(logits, targets), expected)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=20).filter(lambda cells: np.std(cells) > 1e-3))
def test_regression_outputs_undo_the_scale(cells: list[float]) -> None:
    task = Regression.fit(pl.Series("y", cells))
    encoded, bad = task.encode(pl.Series("y", cells))
    assert not bad
    logits = torch.from_numpy((encoded.astype(np.float64) - task.mean) / task.std)[:, None]
    np.testing.assert_allclose(task.outputs(logits).numpy(), cells, rtol=1e-9, atol=1e-3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), min_size=2, max_size=30))
def test_any_strings_are_labels_or_named_as_bad(cells: list[str | None]) -> None:
    series = pl.Series("y", cells, dtype=pl.String)
    try:
        task = Multiclass.fit(series)
    except DataError:
        return
    encoded, bad = task.encode(series)
    assert {position for position, cell in enumerate(cells) if not (cell or "").strip()} >= set(bad)
    for position, cell in enumerate(cells):
        if position not in bad and cell is not None:
            assert task.names[int(encoded[position])] == pl.Series([cell]).str.strip_chars()[0]


def test_real_targets_ask_for_the_task_they_are_known_for(shared_data: Path) -> None:
    expected = {
        ("adult/adult.csv", "income"): "binary",
        ("mrpc/train.csv", "label"): "binary",
        ("banking77/train.csv", "category"): "multiclass",
        ("fsdd/train.csv", "digit"): "multiclass",
        ("ml100k/ratings.csv", "rating"): "multiclass",
        ("etth1/ETTh1.csv", "OT"): "regression",
    }
    for (file, target), task in expected.items():
        column = pl.read_csv(shared_data / file, columns=[target], infer_schema=False)[target]
        assert infer_task(profile(column.to_list())).name == task, file


def test_labels_that_training_never_saw_are_told_by_name() -> None:
    labels = ["a", "b"] * 500
    labels[3], labels[4], labels[9] = "new", "new", "odd"
    table = Table(pl.DataFrame({"y": labels}), "test.csv", None, np.arange(1, 1001))
    task = Binary("y", ["a", "b"], [5, 5])
    _, bad = task.encode(table.frame["y"])
    rows, notes = unseen_labels(table, "y", {**bad, 20: "the target is missing"})
    assert rows == {3, 4, 9}
    where = "stands in test.csv but not in the training rows"
    assert notes == [
        f"label 'new' {where}: 2 rows set aside, which the scores leave out",
        f"label 'odd' {where}: 1 row set aside, which the scores leave out",
    ]
    several = MultiLabel("y", ["a", "b"], [5, 5], 10, ";")
    assert unseen_labels(table, "y", several.encode(table.frame["y"])[1]) == (rows, notes)


def test_many_labels_that_training_never_saw_are_counted() -> None:
    labels = [*map(str, range(10)), *["a", "b"] * 995]
    table = Table(pl.DataFrame({"y": labels}), "test.csv", None, np.arange(1, 2001))
    _, bad = Binary("y", ["a", "b"], [5, 5]).encode(table.frame["y"])
    _, notes = unseen_labels(table, "y", bad)
    assert len(notes) == 9
    assert notes[-1] == "2 more labels of test.csv do not stand in the training rows: set aside alike"


def test_too_many_unseen_labels_are_refused() -> None:
    table = Table(pl.DataFrame({"y": ["a", "b", "new"] * 30}), "test.csv", None, np.arange(1, 91))
    _, bad = Binary("y", ["a", "b"], [5, 5]).encode(table.frame["y"])
    with pytest.raises(DataError) as error:
        unseen_labels(table, "y", bad)
    assert str(error.value) == (
        "test.csv, target 'y': expected labels of the training rows in all but 1% of the rows, "
        "found others in 30 of 90: 'new'. Add training rows with these labels, or remove these rows."
    )
