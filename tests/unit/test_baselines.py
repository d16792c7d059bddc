"""Baselines answer in the format of their task, learn from every kind of column, and are good on real data."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from luban.data.table import Table
from luban.evaluation.baselines import MAX_ROWS, Baseline, fit_baselines
from luban.features.plain.matrix import fit_features
from luban.tasks import metrics
from luban.tasks.base import Floats, Task
from luban.tasks.classification import Binary, Multiclass
from luban.tasks.multi_label import MultiLabel
from luban.tasks.regression import Regression


def table(frame: pl.DataFrame) -> Table:
    return Table(frame, "rows.csv", None, np.arange(1, len(frame) + 1))


def fitted(task_type: type[Task], columns: dict[str, Any], kinds: dict[str, str]) -> tuple[Task, Table, list[Baseline]]:
    rows = table(pl.DataFrame(columns))
    task = task_type.fit(rows.frame["y"])
    targets, bad = task.encode(rows.frame["y"])
    assert not bad
    return task, rows, fit_baselines(task, rows, targets, kinds, {})


def share_right(task: Task, rows: Table, outputs: Floats) -> float:
    targets, _ = task.encode(rows.frame["y"])
    return float(metrics.accuracy(targets, outputs, np.ones((1, len(rows))))[0])


COLUMNS: dict[str, tuple[str, Any, Any]] = {
    "number": ("number", ["1.5", "2", "", "n/a"] * 10, ["9", "8.5", "7", "10"] * 10),
    "date": ("date", ["2020-01-01", "2020-02-01"] * 20, ["2024-01-01", "2025-02-01"] * 20),
    "category": ("category", ["a", "b"] * 20, ["c", None] * 20),
    "identifier": ("identifier", [1, 2] * 20, [3, 4] * 20),
    "labels": ("labels", ["p;q", "p"] * 20, ["r;s", ""] * 20),
    "text": ("text", ["good film", "a great one"] * 20, ["bad film", "a poor one"] * 20),
    "chinese": ("text", ["很好吃", "好味道"] * 20, ["太慢了", "不好喝"] * 20),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_the_linear_baseline_learns_from_every_kind_of_column(name: str) -> None:
    kind, first, second = COLUMNS[name]
    cells = [None if cell is None else str(cell) for cell in [*first, *second]]
    columns = {"x": cells, "y": ["no"] * 40 + ["yes"] * 40}
    task, rows, baselines = fitted(Binary, columns, {"x": kind})
    assert [baseline.name for baseline in baselines] == ["majority", "linear"]
    outputs = baselines[1].predict(rows)
    assert outputs.shape == (80, 2)
    np.testing.assert_allclose(outputs.sum(axis=1), 1)
    assert share_right(task, rows, outputs) >= 0.9
    assert baselines[1].note == "linear model on x; 80 of 80 training rows"


def test_cells_never_seen_are_predicted_all_the_same() -> None:
    columns = {name: [*first, *second] for name, (_, first, second) in COLUMNS.items()}
    kinds = {name: kind for name, (kind, _, _) in COLUMNS.items()}
    _, _, baselines = fitted(Binary, {**columns, "y": [0] * 40 + [1] * 40}, kinds)
    strange = pl.DataFrame(
        {
            "number": ["inf", None, "x"],
            "date": ["never", None, "1500-01-01"],
            "category": ["zzz", None, ""],
            "identifier": [99, None, 1],
            "labels": [";", None, "t;p"],
            "text": ["", None, "💡"],
            "chinese": ["", None, "a" * 5000],
        }
    )
    outputs = baselines[1].predict(table(strange))
    assert outputs.shape == (3, 2)
    assert np.isfinite(outputs).all()


def test_the_majority_answers_with_the_shares_of_the_classes() -> None:
    columns = {"x": [1] * 10, "y": ["a"] * 5 + ["b"] * 3 + ["c"] * 2}
    task, rows, (majority,) = fitted(Multiclass, columns, {"x": "audio"})
    np.testing.assert_allclose(majority.predict(rows), np.tile([0.5, 0.3, 0.2], (10, 1)))
    assert task.decode(majority.predict(rows))["predicted_y"].unique().to_list() == ["a"]


def test_a_class_that_was_not_drawn_has_no_probability() -> None:
    columns = {"x": ["p", "q"] * 10, "y": ["a", "b"] * 9 + ["a", "c"]}
    task = Multiclass.fit(pl.Series("y", columns["y"]))
    rows = table(pl.DataFrame(columns)).take(np.arange(18))
    targets, _ = task.encode(rows.frame["y"])
    outputs = fit_baselines(task, rows, targets, {"x": "category"}, {})[1].predict(rows)
    assert outputs.shape == (18, 3)
    assert (outputs[:, 2] == 0).all()
    only = table(pl.DataFrame({"x": ["p", "q"]}))
    assert (
        fit_baselines(task, only, np.array([1, 1]), {"x": "category"}, {})[1].predict(only).tolist()
        == [[0.0, 1.0, 0.0]] * 2
    )


def test_regression_baselines_answer_in_the_unit_of_the_target() -> None:
    x = np.linspace(-1, 1, 200)
    columns = {"x": x, "word": ["up", "down"] * 100, "y": 1000 + 50 * x + np.tile([7, -7], 100)}
    _, rows, (mean, linear) = fitted(Regression, columns, {"x": "number", "word": "category"})
    assert (mean.name, linear.name) == ("mean", "linear")
    np.testing.assert_allclose(mean.predict(rows), np.full(200, columns["y"].mean()))
    np.testing.assert_allclose(linear.predict(rows), columns["y"], atol=1.5)
    _, rows, (_, dense) = fitted(Regression, columns, {"x": "number"})
    assert dense.predict(rows).shape == (200,)


def test_multi_label_baselines_answer_with_a_probability_for_each_label() -> None:
    columns = {"x": ["red", "blue", "both", "none"] * 20, "y": [["r"], ["b"], ["b", "r"], []] * 20}
    task, rows, (frequency, linear) = fitted(MultiLabel, columns, {"x": "category"})
    np.testing.assert_allclose(frequency.predict(rows), 0.5)
    targets, _ = task.encode(rows.frame["y"])
    np.testing.assert_array_equal(linear.predict(rows) >= 0.5, targets == 1)


def test_a_column_without_anything_to_learn_is_left_out() -> None:
    columns = {"x": ["1"] * 20, "t": [""] * 20, "w": ["a", "b"] * 10, "y": [0, 1] * 10}
    _, _, baselines = fitted(Binary, columns, {"x": "number", "t": "text", "w": "category"})
    assert baselines[1].note == "linear model on w; 20 of 20 training rows"
    _, _, baselines = fitted(Binary, columns, {"x": "number", "t": "text"})
    assert [baseline.name for baseline in baselines] == ["majority"]


def test_baselines_are_the_same_every_time() -> None:
    rng = np.random.default_rng(0)
    num_rows = MAX_ROWS + 500
    x = rng.normal(size=num_rows)
    columns = {"x": x, "w": rng.choice(["a", "b"], num_rows), "y": (x + rng.normal(size=num_rows) > 0).astype(int)}
    kinds = {"x": "number", "w": "category"}
    (_, rows, first), (_, _, second) = fitted(Binary, columns, kinds), fitted(Binary, columns, kinds)
    assert first[1].note == f"linear model on x, w; {MAX_ROWS} of {num_rows} training rows"
    np.testing.assert_array_equal(first[1].predict(rows), second[1].predict(rows))


def test_prediction_in_chunks_is_prediction(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"x": np.arange(40), "w": ["a", "b"] * 20, "y": [0] * 20 + [1] * 20}
    _, rows, (_, linear) = fitted(Binary, columns, {"x": "number", "w": "category"})
    whole = linear.predict(rows)
    monkeypatch.setattr("luban.evaluation.baselines.ROWS_AT_ONCE", 7)
    np.testing.assert_allclose(linear.predict(rows), whole)


def test_images_stand_beside_other_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    pixels = np.memmap(tmp_path / "images.bin", np.uint8, "w+", shape=(60, 1, 16, 16))
    pixels[:] = rng.integers(0, 100, pixels.shape) + 100 * labels[:, None, None, None]
    rows = table(pl.DataFrame({"image": [b"png"] * 60, "w": ["a"] * 30 + ["b"] * 30, "y": labels}))
    task = Binary.fit(rows.frame["y"])
    targets, _ = task.encode(rows.frame["y"])
    for kinds in ({"image": "image"}, {"image": "image", "w": "category"}):
        _, linear = fit_baselines(task, rows, targets, kinds, {"image": pixels})
        assert share_right(task, rows, linear.predict(rows, {"image": pixels})) == 1.0
    features, matrix = fit_features(rows.frame.select("w"), {"w": "category"}, {"image": pixels})
    assert matrix is not None
    assert matrix.shape == (60, 2 + 184)
    assert abs(features.matrix(rows.frame, {"image": pixels}) - matrix).max() < 1e-6


def test_the_dense_model_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    y = (x + rng.normal(size=200) > 0).astype(int)
    _, rows, (_, linear) = fitted(Binary, {"x": x, "y": y}, {"x": "number"})
    features = np.stack([(x - x.mean()) / x.std(), np.zeros(200)], axis=1)
    reference = LogisticRegression(C=0.1).fit(features, y).predict_proba(features)
    np.testing.assert_allclose(linear.predict(rows), reference, atol=1e-3)


def real(shared_data: Path, file: str) -> pl.DataFrame:
    return pl.read_csv(shared_data / file, infer_schema=False)


def halves(frame: pl.DataFrame, num_test: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    order = np.random.default_rng(0).permutation(len(frame))
    return frame[order[num_test:]], frame[order[:num_test]]


def real_accuracy(
    task_type: type[Task], train: pl.DataFrame, test: pl.DataFrame, target: str, kinds: dict[str, str]
) -> float:
    start = time.process_time()
    task = task_type.fit(train[target])
    targets, _ = task.encode(train[target])
    linear = fit_baselines(task, table(train), targets, kinds, {})[1]
    assert time.process_time() - start < 20
    return share_right(task, table(test.rename({target: "y"})), linear.predict(table(test)))


def test_banking77_linear_baseline(shared_data: Path) -> None:
    train, test = real(shared_data, "banking77/train.csv"), real(shared_data, "banking77/test.csv")
    assert real_accuracy(Multiclass, train, test, "category", {"text": "text"}) > 0.87


def test_waimai_linear_baseline(shared_data: Path) -> None:
    train, test = halves(real(shared_data, "waimai/waimai_10k.csv"), 2000)
    assert real_accuracy(Binary, train, test, "label", {"review": "text"}) > 0.88


def test_adult_linear_baseline(shared_data: Path) -> None:
    train, test = halves(real(shared_data, "adult/adult.csv"), 3000)
    numbers = {"age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"}
    kinds = {name: "number" if name in numbers else "category" for name in train.columns if name != "income"}
    assert real_accuracy(Binary, train, test, "income", kinds) > 0.84


def test_mnist_linear_baseline(shared_data: Path) -> None:
    frame = pl.read_parquet(shared_data / "mnist" / "train.parquet").gather_every(20)
    cells = [cell["bytes"] if isinstance(cell, dict) else cell for cell in frame["image"].to_list()]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(cell))) for cell in cells])[:, None]
    task = Multiclass.fit(frame["label"])
    targets, _ = task.encode(frame["label"])
    rows = table(frame.rename({"label": "y"}))
    first, rest = np.arange(0, 3000, 2), np.arange(1, 3000, 2)
    _, linear = fit_baselines(task, rows.take(first), targets[first], {"image": "image"}, {"image": pixels[first]})
    assert share_right(task, rows.take(rest), linear.predict(rows.take(rest), {"image": pixels[rest]})) > 0.85
