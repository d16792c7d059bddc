"""What every kind of column keeps to; a new row of FEATURES is tested by one more line in EXAMPLES."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from PIL import Image

from luban.core.tensors import EncodedColumn, Ragged, TensorKind
from luban.features import FEATURES
from luban.features.base import ColumnProfile, Encoded, Feature, FitContext
from luban.features.schema import FeaturesConfig
from luban.tasks import TASKS

ROWS = 24


def _png(row: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (row * 9, 40, 200 - row)).save(buffer, "PNG")
    return buffer.getvalue()


def _wav(row: int) -> bytes:
    buffer = io.BytesIO()
    time = np.arange(800 + 40 * row) / 8000
    soundfile.write(buffer, 0.5 * np.sin(2 * np.pi * (200 + 20 * row) * time), 8000, format="WAV")
    return buffer.getvalue()


# For every kind a column that it should recognise, and a cell that training has not seen.
EXAMPLES: dict[str, tuple[Callable[[int], Any], Any]] = {
    "image": (_png, _png(25)),
    "audio": (_wav, _wav(30)),
    "sequence": (lambda row: [[float(row), step / 7] for step in range(1 + row % 5)], [[1e30, 0.0]]),
    "number": (lambda row: f"{row**2 / 7:.3f}", "1e300"),
    "category": (lambda row: ["red", "green", "blue"][row % 3], "mauve"),
    "date": (lambda row: (datetime(2016, 7, 1) + timedelta(hours=31 * row)).isoformat(" "), "1999-12-31 23:59:59"),
    "labels": (lambda row: ["a;b", "b;c;d", "a", "c;a"][row % 4], "z;a"),
    "words": (
        lambda row: f"Row {row} was written, by no. {row * 3}".split()[: 3 + row % 4],
        ["全部", "😀", "\u0000", ""],
    ),
    "text": (lambda row: f"The {row}th customer wrote: was it {row * 3} days?", "全部 😀 unseen\u0000 [SEP]"),
}


@pytest.fixture(params=FEATURES, ids=lambda feature: feature.kind)
def kind(request: pytest.FixtureRequest) -> type[Feature]:
    found: type[Feature] = request.param
    return found


def frame_of(kind: type[Feature]) -> pl.DataFrame:
    """ROWS rows, of which two are missing."""
    make, _ = EXAMPLES[kind.kind]
    cells = [None if row in (3, 17) else make(row) for row in range(ROWS)]
    return pl.DataFrame({"column": cells, "other": range(ROWS)})


def fitted(kind: type[Feature]) -> Feature:
    return kind.fit("input", ("column",), frame_of(kind), kind.config_type(), FitContext())


def rows_of(encoded: Encoded) -> list[Any]:
    column = encoded.column
    taken = [column.take(np.array([row])) for row in range(len(column))]
    return [np.asarray(row.values if isinstance(row, Ragged) else row) for row in taken]


def assert_equal(left: EncodedColumn, right: EncodedColumn) -> None:
    assert left.kind == right.kind
    assert left.values.dtype == right.values.dtype
    np.testing.assert_array_equal(left.values, right.values)
    np.testing.assert_array_equal(left.lengths, right.lengths)


def test_every_kind_has_an_example_and_settings() -> None:
    kinds = [feature.kind for feature in FEATURES]
    assert sorted(EXAMPLES) == sorted(kinds)
    assert {name: type(getattr(FeaturesConfig(), name)) for name in FeaturesConfig.model_fields} == {
        feature.settings or feature.kind: feature.config_type for feature in FEATURES
    }


def test_recognises_its_own_kind(kind: type[Feature]) -> None:
    cells = frame_of(kind)["column"].drop_nulls()
    profile = ColumnProfile("column", cells, ROWS, ROWS - len(cells), cells.n_unique())
    scores = {other.kind: other.match(profile) for other in FEATURES}
    assert all(0 <= score <= 1 for score in scores.values())
    if scores[kind.kind]:
        assert max(scores, key=lambda name: scores[name]) == kind.kind
    else:  # a target asks for it, whatever the cells are
        beside = replace(profile, name="target", companions=("column",))
        asked = {name for task in TASKS for name in task.kinds(beside, ["column", "target"]).values()}
        assert kind.kind in asked


def test_encodes_as_its_spec_says(kind: type[Feature]) -> None:
    feature = fitted(kind)
    spec, column = feature.spec(), feature.encode(frame_of(kind)).column
    assert (spec.name, spec.kind, column.kind) == ("input", kind.tensor_kind, kind.tensor_kind)
    assert len(column) == ROWS
    prepared = feature.prepare(column.take(np.arange(ROWS)))
    values = prepared.values if isinstance(prepared, Ragged) else prepared
    assert values.isfinite().all()
    if spec.kind == TensorKind.GRID:
        assert values.shape == (ROWS, spec.size, spec.height, spec.width)
    elif spec.kind in (TensorKind.DENSE, TensorKind.FRAMES):
        assert values.shape[1] == spec.size
    else:
        assert int(values.min()) >= 0
        assert int(values.max()) < spec.size
    assert (column.offsets is not None) == (spec.kind in (TensorKind.TOKENS, TensorKind.FRAMES))
    assert column.lengths.max() <= max(spec.max_length, 1)
    assert feature.describe()


def test_state_round_trips_through_json(kind: type[Feature]) -> None:
    feature = fitted(kind)
    again = kind.from_state(json.loads(json.dumps(feature.state())), feature.files())
    assert (again.name, again.columns) == ("input", ("column",))
    assert again.state() == feature.state()
    assert again.files() == feature.files()
    assert again.spec() == feature.spec()
    assert_equal(again.encode(frame_of(kind)).column, feature.encode(frame_of(kind)).column)


def test_fitting_twice_gives_the_same_state(kind: type[Feature]) -> None:
    assert fitted(kind).state() == fitted(kind).state()
    assert fitted(kind).files() == fitted(kind).files()


def test_missing_cells_encode_alike_and_are_not_bad(kind: type[Feature]) -> None:
    feature = fitted(kind)
    encoded = feature.encode(frame_of(kind))
    rows = rows_of(encoded)
    assert not encoded.bad
    np.testing.assert_array_equal(rows[3], rows[17])
    present = [row for position, row in enumerate(rows) if position not in (3, 17)]
    assert not any(row.shape == rows[3].shape and (row == rows[3]).all() for row in present)


def test_empty_strings_are_missing(kind: type[Feature]) -> None:
    if frame_of(kind)["column"].dtype != pl.String:
        pytest.skip("the cells are files")
    feature = fitted(kind)
    rows = rows_of(feature.encode(pl.DataFrame({"column": ["", None, "   "]})))
    for row in rows:
        np.testing.assert_array_equal(row, rows[0])


def test_columns_without_a_cell_encode(kind: type[Feature]) -> None:
    encoded = fitted(kind).encode(pl.DataFrame({"column": [None, None]}, schema={"column": pl.Null}))
    assert len(encoded.column) == 2
    assert not encoded.bad


@pytest.mark.parametrize("size", [1, 5, ROWS])
def test_chunks_encode_as_the_whole(kind: type[Feature], size: int) -> None:
    feature, frame = fitted(kind), frame_of(kind)
    parts = [feature.encode(frame[start : start + size]).column for start in range(0, ROWS, size)]
    assert_equal(EncodedColumn.concatenate(parts), feature.encode(frame).column)


def test_frames_without_rows_encode(kind: type[Feature]) -> None:
    feature, frame = fitted(kind), frame_of(kind)
    empty = feature.encode(frame.clear())
    assert len(empty.column) == 0
    assert not empty.bad
    assert_equal(EncodedColumn.concatenate([empty.column, feature.encode(frame).column]), feature.encode(frame).column)


def test_unseen_values_encode(kind: type[Feature]) -> None:
    feature = fitted(kind)
    _, unseen = EXAMPLES[kind.kind]
    encoded = feature.encode(pl.DataFrame({"column": [unseen]}))
    assert not encoded.bad
    prepared = feature.prepare(encoded.column.take(np.array([0])))
    values = prepared.values if isinstance(prepared, Ragged) else prepared
    assert values.isfinite().all()
    if feature.spec().kind in (TensorKind.IDS, TensorKind.TOKENS):
        assert int(values.max()) < feature.spec().size


@pytest.mark.parametrize("cell", ["n/a", 3.5, True, ["a", "b"], {"key": "value"}, b"\x00\xff", datetime(2020, 1, 2)])
def test_cells_of_any_type_never_raise(kind: type[Feature], cell: object) -> None:
    encoded = fitted(kind).encode(pl.DataFrame({"column": [cell, None]}))
    assert len(encoded.column) == 2
    assert set(encoded.bad) <= {0}
    for reason in encoded.bad.values():
        assert reason
        assert not reason.endswith(".")
