from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from luban.core.errors import ArtifactError
from luban.core.tensors import EncodedColumn, Ragged
from luban.data.table import Table
from luban.features import cache, schema
from luban.features.base import FitContext
from luban.features.schema import FeaturesConfig, Schema

ROWS = 53
FRAME = pl.DataFrame(
    {
        "age": [*[str(row**2) for row in range(ROWS - 1)], "soon"],
        "city": [["Rome", "Oslo"][row % 2] for row in range(ROWS)],
        "text": [f"it took {row} days" + " again" * row for row in range(ROWS)],
        "when": [f"2020-01-{1 + row % 28:02}" for row in range(ROWS)],
    }
).with_columns(pl.when(pl.col("age") == "9").then(pl.lit("x")).otherwise("when").alias("when"))
OVERRIDES = {"age": "number", "city": "category", "text": "text", "when": "date"}
BAD = {
    3: ("when", "expected a date like 2016-12-31, found 'x'. Add it to data.missing_values"),
    52: ("age", "expected a number, found 'soon'. Add it to data.missing_values"),
}


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "CHUNK_ROWS", 10)


def table(frame: pl.DataFrame = FRAME) -> Table:
    return Table(frame, "letters.csv", None, np.arange(1, len(frame) + 1))


@pytest.fixture(scope="module")
def fitted() -> Schema:
    clean = table(FRAME.filter(pl.col("when") != "x"))
    plans = schema.plan(clean, target=None, overrides=OVERRIDES)
    return schema.fit(plans, clean, FeaturesConfig(), FitContext())


def assert_same(left: dict[str, EncodedColumn], right: dict[str, EncodedColumn]) -> None:
    assert list(left) == list(right)
    for name, column in left.items():
        other = right[name]
        assert (column.kind, column.values.dtype) == (other.kind, other.values.dtype)
        np.testing.assert_array_equal(column.values, other.values)
        assert (column.offsets is None) == (other.offsets is None)
        np.testing.assert_array_equal(column.lengths, other.lengths)


def test_files_hold_what_memory_does(fitted: Schema, tmp_path: Path) -> None:
    inputs, bad = cache.encode(fitted, table(), None, None)
    assert bad == BAD
    assert_same(
        inputs, {feature.name: feature.encode(FRAME.select(feature.columns)).column for feature in fitted.features}
    )
    for _ in range(2):  # written, and then found
        mapped, found = cache.encode(fitted, table(), tmp_path / "new", "data")
        assert found == BAD
        assert_same(mapped, inputs)
        assert all(isinstance(column.values, np.memmap) for column in mapped.values())
        assert not any(column.values.flags.writeable for column in mapped.values())
    assert len(list((tmp_path / "new").iterdir())) == 1
    rows = np.array([51, 4])
    mapped_rows, rows_in_memory = mapped["text"].take(rows), inputs["text"].take(rows)
    assert isinstance(mapped_rows, Ragged)
    assert isinstance(rows_in_memory, Ragged)
    assert mapped_rows.values.tolist() == rows_in_memory.values.tolist()


def test_a_hit_encodes_nothing(fitted: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = cache.encode(fitted, table(), tmp_path, "data")

    def fail(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(cache, "_chunks", fail)
    again = Schema.from_state(fitted.state(), fitted.files())
    assert_same(cache.encode(again, table(), tmp_path, "data")[0], first)
    with pytest.raises(AssertionError, match="encoded again"):
        cache.encode(fitted, table(), tmp_path, "other data")


def test_another_schema_is_another_cache(fitted: Schema, tmp_path: Path) -> None:
    cache.encode(fitted, table(), tmp_path, "data")
    cache.encode(Schema(fitted.features[:2], {}, None), table(), tmp_path, "data")
    assert len(list(tmp_path.iterdir())) == 2


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", ["0.values.npy", "2.offsets.npy", "2.values.npy", cache.INDEX])
@pytest.mark.parametrize(
    "damage",
    [
        _flip,
        Path.unlink,
        lambda path: os.truncate(path, path.stat().st_size - 1),
        lambda path: path.write_bytes(b""),
    ],
    ids=["flipped", "gone", "cut", "empty"],
)
def test_damage_is_mended(fitted: Schema, tmp_path: Path, name: str, damage: object) -> None:
    cache.encode(fitted, table(), tmp_path, "data")
    (folder,) = tmp_path.iterdir()
    damage(folder / name)  # type: ignore[operator]
    mapped, bad = cache.encode(fitted, table(), tmp_path, "data")
    assert bad == BAD
    assert_same(mapped, cache.encode(fitted, table(), None, None)[0])
    assert list(tmp_path.iterdir()) == [folder]


def test_a_failure_leaves_nothing_behind(fitted: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks = list(cache._chunks(fitted, table()))

    def fail(*_: object) -> object:
        yield from chunks[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr(cache, "_chunks", fail)
    with pytest.raises(KeyboardInterrupt):
        cache.encode(fitted, table(), tmp_path, "data")
    assert not list(tmp_path.iterdir())


def test_a_table_without_rows(fitted: Schema, tmp_path: Path) -> None:
    inputs, bad = cache.encode(fitted, table(FRAME.clear()), None, None)
    assert not bad
    assert {len(column) for column in inputs.values()} == {0}
    assert_same(cache.encode(fitted, table(FRAME.clear()), tmp_path, "data")[0], inputs)


def test_a_folder_that_cannot_be_written(fitted: Schema, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError) as error:
        cache.encode(fitted, table(), tmp_path / "file", "data")
    assert str(error.value) == (
        f"{tmp_path / 'file'}: expected a folder with room for the encoded data, found 'Not a directory'. "
        "Free some space there, or choose another cache folder."
    )
