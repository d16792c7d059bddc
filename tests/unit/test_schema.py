from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from luban.core.errors import ArtifactError, ConfigError, SchemaError
from luban.core.tensors import TensorKind
from luban.data import sources
from luban.data.table import Table
from luban.features import schema
from luban.features.base import FitContext
from luban.features.category import CategoryConfig
from luban.features.schema import FeaturesConfig, Schema

ROWS = 60
FRAME = pl.DataFrame(
    {
        "row_id": [f"R-{row * 17}" for row in range(ROWS)],
        "age": [20 + row % 30 for row in range(ROWS)],
        "city": [["Rome", "Oslo", "Bern"][row % 3] for row in range(ROWS)],
        "tags": [["a;b", "b;c", "a"][row % 3] for row in range(ROWS)],
        "since": [f"2016-07-{1 + row % 28:02}" for row in range(ROWS)],
        "title": [f"The {row}th letter from a customer" for row in range(ROWS)],
        "body": [f"It took {row * 7} days, and then it was late again" for row in range(ROWS)],
        "source": ["web"] * ROWS,
        "label": [row % 2 for row in range(ROWS)],
    }
)


def table(frame: pl.DataFrame, name: str = "letters.csv") -> Table:
    return Table(frame, name, None, np.arange(1, len(frame) + 1))


def kinds(frame: pl.DataFrame, target: str | None = None, **options: object) -> dict[str, str]:
    return {plan.name: plan.kind for plan in schema.plan(table(frame), target=target, **options)}  # type: ignore[arg-type]


def fit(frame: pl.DataFrame = FRAME, target: str | None = "label", **configs: object) -> Schema:
    plans = schema.plan(table(frame), target=target)
    return schema.fit(plans, table(frame), FeaturesConfig(**configs), FitContext())  # type: ignore[arg-type]


def test_plan_names_a_kind_and_a_reason_for_every_column() -> None:
    plans = schema.plan(table(FRAME), target="label")
    assert {plan.name: plan.kind for plan in plans} == {
        "row_id": "identifier",
        "age": "number",
        "city": "category",
        "tags": "labels",
        "since": "date",
        "title": "text",
        "body": "text",
        "source": "ignore",
    }
    reasons = {plan.name: plan.reason for plan in plans}
    assert reasons["city"] == "strings, 3 different"
    assert reasons["age"] == "integers, 30 different"
    assert reasons["source"] == "constant: every cell is 'web'"
    assert reasons["row_id"] == "a code a row: every value is different"
    assert [plan.name for plan in plans if not plan.is_input] == ["row_id", "source"]


ADULT = {"age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"}


def test_real_tables(shared_data: Path) -> None:
    adult = kinds(pl.read_csv(shared_data / "adult" / "adult.csv"), "income", missing_values=("?", "-"))
    assert {name for name, kind in adult.items() if kind == "number"} == ADULT
    assert sum(kind == "category" for kind in adult.values()) == 8
    assert kinds(pl.read_csv(shared_data / "mrpc" / "train.csv"), "label") == {"sentence1": "text", "sentence2": "text"}
    assert kinds(pl.read_csv(shared_data / "banking77" / "train.csv"), "category") == {"text": "text"}
    assert kinds(pl.read_csv(shared_data / "waimai" / "waimai_10k.csv"), "label") == {"review": "text"}
    etth1 = kinds(pl.read_csv(shared_data / "etth1" / "ETTh1.csv"), "OT")
    assert etth1.pop("date") == "date"
    assert set(etth1.values()) == {"number"}
    assert kinds(pl.read_csv(shared_data / "ml100k" / "ratings.csv"), "rating") == {
        "user_id": "category",
        "item_id": "category",
        "timestamp": "date",
    }


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([None, None, "", None], "ignore"),
        (["", "x", "", "x"], "category"),
        ([1, None, 1, None], "number"),
        ([[1.5], [2.5], [3.5, 1.0], None], "sequence"),
        ([b"\x00\x01", b"\x02", b"\x03", b"\x04"], "ignore"),
        ([True, False, None, True], "category"),
        ([["a"], ["b", "a"], [], None], "labels"),
        (["1.5", "2.5", "?", "3.0"], "category"),
    ],
)
def test_odd_columns(cells: list[object], kind: str) -> None:
    assert kinds(pl.DataFrame({"column": cells})) == {"column": kind}


def test_missing_values_do_not_hide_numbers() -> None:
    frame = pl.DataFrame({"age": ["31", "?", "45", "?", "27.5"] * 9, "job": ["?", "cook", "smith"] * 15})
    assert kinds(frame, missing_values=("?",)) == {"age": "number", "job": "category"}
    (age, _) = schema.plan(table(frame), target=None)
    assert age.kind == "category"
    assert age.note == (
        "column 'age': 60% of the cells are numbers, but not '?'; it is taken as category. "
        "If these mean 'missing', add them to data.missing_values"
    )


def test_several_units_are_noted() -> None:
    (price,) = schema.plan(table(pl.DataFrame({"price": ["$1,200.50", "€ 30", "17%", "$1,200.50"]})), target=None)
    assert price.kind == "category"
    assert price.note == (
        "column 'price': the cells are numbers in several units ('$', '€', '%'); it is taken as category. "
        "Write them in one unit if their size matters"
    )


def test_what_holds_digits_is_never_advised_to_be_missing() -> None:
    cells = ["1.5", "2", "7", "3-4", "12/5", "9"] * 3
    (size,) = schema.plan(table(pl.DataFrame({"size": cells})), target=None)
    assert size.note == (
        "column 'size': 67% of the cells are numbers, but not '12/5', '3-4'; it is taken as category. "
        "Write these like 1234.5 if the size matters"
    )


def test_profile() -> None:
    frame = pl.DataFrame({"x": [None, " ", *map(str, range(30_000)), "7"]})
    found = schema.profile(table(frame), "x")
    assert (found.num_rows, found.num_missing, found.num_unique) == (30_003, 2, 30_000)
    assert len(found.sample) == 10_000
    assert (found.sample[0], found.sample[-1]) == ("0", "7")
    floats = schema.profile(table(pl.DataFrame({"x": [1.0, float("nan"), None]})), "x")
    assert (floats.num_missing, floats.num_unique) == (2, 1)


def test_overrides_and_exclusions() -> None:
    found = kinds(
        FRAME, "label", overrides={"age": "category", "source": "category", "title": "ignore"}, exclude=["city"]
    )
    assert [found[name] for name in ("age", "source", "title", "city")] == ["category", "category", "ignore", "ignore"]


def test_an_unknown_column() -> None:
    with pytest.raises(SchemaError) as error:
        schema.plan(table(FRAME[["age", "city"]]), target=None, overrides={"citty": "text"})
    assert str(error.value) == (
        "letters.csv, data.columns 'citty': expected the name of a column, found only 'age', 'city'. "
        "Did you mean 'city'? Check the spelling."
    )
    with pytest.raises(SchemaError, match="target 'lable': expected the name of a column"):
        schema.plan(table(FRAME), target="lable")


def test_an_unknown_kind() -> None:
    with pytest.raises(ConfigError) as error:
        schema.plan(table(FRAME), target=None, overrides={"city": "catgory"})
    assert str(error.value) == (
        "data.columns, column 'city': expected one of 'image', 'audio', 'sequence', 'date', 'number', 'labels', "
        "'category', 'text', 'words', 'identifier', 'ignore', found 'catgory'. "
        "Did you mean 'category'? Choose one of these kinds."
    )


def test_nothing_to_learn_from() -> None:
    with pytest.raises(SchemaError) as error:
        schema.require_inputs(table(FRAME), schema.plan(table(FRAME[["source", "label"]]), target="label"))
    assert str(error.value) == (
        "letters.csv: expected at least one column to learn from, found none: set aside are 'source' (constant: every "
        "cell is 'web'). Say in data.columns what kind a column is, or add a column."
    )


def test_all_text_columns_are_one_input() -> None:
    fitted = fit()
    assert [feature.name for feature in fitted.features] == ["age", "city", "tags", "since", "text"]
    assert fitted.features[-1].columns == ("title", "body")
    assert fitted.columns == ("age", "city", "tags", "since", "title", "body")
    assert list(fitted.set_aside) == ["row_id", "source"]
    assert fitted.target == "label"
    assert [spec.name for spec in fitted.specs()] == ["age", "city", "tags", "since", "text"]


def test_a_column_called_text_that_is_none() -> None:
    frame = FRAME.select(pl.col("title"), pl.col("age").alias("text"), pl.col("age").alias("text_"))
    assert [feature.name for feature in fit(frame, None).features] == ["text", "text__", "text_"]


def test_settings_reach_their_kind() -> None:
    assert fit(category=CategoryConfig(max_categories=1)).features[1].spec().size == 3


def test_state_round_trips() -> None:
    fitted = fit()
    again = Schema.from_state(json.loads(json.dumps(fitted.state())), fitted.files())
    assert again.state() == fitted.state()
    assert list(again.files()) == ["tokenizer.json"]
    for left, right in zip(again.features, fitted.features, strict=True):
        np.testing.assert_array_equal(left.encode(FRAME).column.values, right.encode(FRAME).column.values)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"features": [{"kind": "smell", "state": {}}], "set_aside": {}, "target": None},
        {"features": [{"kind": "number", "state": {"name": "x"}}], "set_aside": {}, "target": None},
    ],
)
def test_a_damaged_state(state: dict[str, object]) -> None:
    with pytest.raises(
        ArtifactError, match=r"features.json: expected the fitted columns of a run, found something else"
    ):
        Schema.from_state(state, {})


def test_check_names_missing_columns() -> None:
    with pytest.raises(SchemaError) as error:
        fit(FRAME[["age", "city", "label"]]).check(table(pl.DataFrame({"Age": [1], "town": ["Rome"]}), "new.csv"))
    assert str(error.value) == (
        "new.csv: expected the columns that the model was trained on, 'age', 'city', found no 'age', 'city'. "
        "Did you mean 'Age'? Add or rename the columns."
    )


def test_check_takes_columns_in_any_order_and_notes_unseen_values() -> None:
    fitted = fit()
    shuffled = FRAME.select(sorted(FRAME.columns, reverse=True)).with_columns(pl.lit(1).alias("more"))
    assert fitted.check(table(shuffled)) == []
    changed = shuffled.with_columns(
        pl.when(pl.col("age") < 30).then(pl.lit("Mars")).otherwise("city").alias("city"), pl.lit("x;a").alias("tags")
    )
    assert fitted.check(table(changed)) == [
        "column 'city': 20 of 60 rows hold a value that was rare or unseen in training",
        "column 'tags': 60 of 60 rows hold a value that was rare or unseen in training",
    ]


def test_tensor_kinds_and_chinese() -> None:
    plans = schema.plan(table(FRAME), target="label")
    assert schema.tensor_kinds(plans) == {TensorKind.DENSE, TensorKind.IDS, TensorKind.TOKENS}
    assert not schema.is_mostly_cjk(table(FRAME), ["title", "body"])
    assert schema.is_mostly_cjk(table(pl.DataFrame({"review": ["送得很快，OK", "没有筷子"]})), ["review"])
    assert not schema.is_mostly_cjk(table(FRAME), [])


def test_a_long_column_is_profiled_slice_by_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [None, "", " x ", "x", "?", "1.0", "NA", "a longer cell"] * 25
    rows = Table(pl.DataFrame({"c": cells}), "t.csv", None, np.arange(1, 201))
    whole = schema.profile(rows, "c", ("?", "NA"))
    assert (whole.num_rows, whole.num_missing, whole.num_unique) == (200, 100, 3)
    assert whole.sample.to_list() == ["x", "x", "1.0", "a longer cell"] * 25
    monkeypatch.setattr("luban.features.cells.HASHED_CELLS", 7)
    sliced = schema.profile(rows, "c", ("?", "NA"))
    assert (sliced.num_missing, sliced.num_unique) == (100, 3)
    assert sliced.sample.equals(whole.sample)


def test_ids_that_repeat_are_categories_in_a_csv_file_as_well(tmp_path: Path) -> None:
    lines = [f"{n % 40},{7 * n % 300},{n % 7}" for n in range(300)]
    (tmp_path / "rows.csv").write_text("\n".join(["user_id,count,rating", *lines, ""]))
    plans = {plan.name: plan.kind for plan in schema.plan(sources.read(tmp_path / "rows.csv"), target="rating")}
    assert plans == {"user_id": "category", "count": "number"}


def test_objects_whose_parts_cannot_be_columns_are_left_out_and_told(tmp_path: Path) -> None:
    lines = [f'{{"person": {{"age": {n}, "sex": "f"}}, "person.sex": "f", "y": "a"}}\n' for n in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(lines))
    (plan, *_) = schema.plan(sources.read(tmp_path / "rows.jsonl"), target="y")
    assert (plan.kind, plan.reason) == ("ignore", "objects of 'age', 'sex'")
    assert plan.note.startswith("column 'person': objects of 'age', 'sex' are left out")
