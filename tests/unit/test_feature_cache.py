from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from luban.core.cache import claim
from luban.core.errors import ArtifactError
from luban.core.tensors import EncodedColumn, Ragged
from luban.data.table import Table
from luban.features import cache, schema
from luban.features.base import FitContext
from luban.features.image import ImageFeature
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


@pytest.mark.parametrize("name", ["dense.npy", "ids.npy", "2.offsets.npy", "2.values.npy", cache.INDEX])
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
    assert len(chunks) > 2

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
        f"{tmp_path / 'file'}: expected a cache folder that can be written and has room for the encoded data, "
        "found 'Not a directory'. "
        "Free some space there, or set the environment variable LUBAN_CACHE to another folder."
    )


def test_damaged_matrices_are_noticed(fitted: Schema) -> None:
    (arrays, _), *_ = cache._chunks(fitted, table())
    for name, values in (("dense.npy", arrays["dense.npy"][:, 1:]), ("ids.npy", arrays["ids.npy"][1:])):
        with pytest.raises(ValueError, match="matrix|rows"):
            cache._columns(fitted, {**arrays, name: values}, 10)


def test_chunks_are_bounded_by_bytes(fitted: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
    specs = fitted.specs()
    whole = cache.encode(fitted, table(), None, None)
    assert cache.chunk_rows(fitted, table(), specs) == 10
    text = specs[2].max_length
    monkeypatch.setattr(cache, "CHUNK_BYTES", 3 * (8 * text + 4 * (specs[0].size + 1 + specs[3].size)))
    assert cache.chunk_rows(fitted, table(), specs) == 3
    chunked = cache.encode(fitted, table(), None, None)
    assert chunked[1] == whole[1]
    assert_same(chunked[0], whole[0])
    monkeypatch.setattr(cache, "CHUNK_BYTES", 1)
    assert cache.chunk_rows(fitted, table(), specs) == 1


def test_files_in_cells_count_towards_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    column = ImageFeature("image", ("image",), 4, 3, 1_000, [0.5] * 3, [0.5] * 3)
    images = Schema((column,), {}, None)
    frame = pl.DataFrame({"image": [b"." * 100] * 20})
    monkeypatch.setattr(cache, "CHUNK_BYTES", 2_000)
    paths = table(pl.DataFrame({"image": ["a.png"] * 20}))
    assert cache.chunk_rows(images, paths, images.specs()) == 10  # CHUNK_ROWS
    monkeypatch.setattr(cache, "CHUNK_ROWS", 1_000)
    assert cache.chunk_rows(images, paths, images.specs()) == 2_000 // 48
    assert 12 <= cache.chunk_rows(images, table(frame), images.specs()) <= 2_000 // 148
    assert cache.chunk_rows(images, table(frame.clear()), images.specs()) == 2_000 // 48


def test_the_speed_is_told_where_it_takes_long(fitted: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(cache, "TOLD_SECONDS", 1e9)
    cache.encode(fitted, table(), tmp_path, "data", notes.append)
    assert not notes
    monkeypatch.setattr(cache, "TOLD_SECONDS", -1.0)
    monkeypatch.setattr(cache, "num_cores", lambda: 2)
    times = iter([10.0, 35.0])
    monkeypatch.setattr(cache, "time", SimpleNamespace(monotonic=lambda: next(times)))
    cache.encode(fitted, table(), None, None, notes.append)
    assert notes == ["53 rows of letters.csv in 25 s, 2 rows/s, 2 cores"]
    times = iter([0.0])
    cache.encode(fitted, table(), tmp_path, "data", notes.append)
    assert notes[1:] == ["encoded columns of letters.csv taken from the cache"]


def test_the_cache_keeps_within_its_limit(fitted: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_in_use", set())
    for number in range(3):
        cache.encode(fitted, table(), tmp_path, f"data {number}")
    assert len(list(tmp_path.iterdir())) == 3  # all in use, the limit is far
    monkeypatch.setenv("LUBAN_CACHE_GB", "0")
    cache.encode(fitted, table(), tmp_path, "data 3")
    assert len(list(tmp_path.iterdir())) == 4  # what is in use stays
    monkeypatch.setattr(cache, "_in_use", set())  # as in the next process
    cache.encode(fitted, table(), tmp_path, "data 3")
    assert len(list(tmp_path.iterdir())) == 4  # nothing was written
    cache.encode(fitted, table(), tmp_path, "data 4")
    assert {folder.name for folder in tmp_path.iterdir()} == {folder.name for folder in cache._in_use}
    assert len(cache._in_use) == 2


def test_room_for_other_files_is_made_beside_what_is_in_use(
    fitted: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_in_use", set())
    cache.encode(fitted, table(), tmp_path, "data")
    (mapped,) = tmp_path.iterdir()
    old, new = (tmp_path / f"vectors-{digit * 40}" for digit in "01")
    for folder in (old, new):
        folder.mkdir()
        claim(folder, "vectors", folder.name)
        (folder / "vectors.npz").write_bytes(b"0" * 100)
    monkeypatch.setenv("LUBAN_CACHE_GB", "0")
    assert cache.make_room(new) == []
    assert set(tmp_path.iterdir()) == {mapped, new}


def test_what_somebody_else_put_into_a_full_cache_is_told_and_stays(
    fitted: Schema, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_in_use", set())
    photos = tmp_path / "my_photos"
    photos.mkdir()
    (photos / "a").write_text("x")
    notes: list[str] = []
    cache.encode(fitted, table(), tmp_path, "data", notes.append)
    assert not notes  # there is room
    monkeypatch.setenv("LUBAN_CACHE_GB", "0")
    cache.encode(fitted, table(), tmp_path, "other data", notes.append)
    assert notes == [f"left in {tmp_path}, since Luban did not write it: 'my_photos'"]
    assert (photos / "a").read_text() == "x"


def test_a_folder_of_somebody_else_under_the_name_of_an_entry_gets_another_name(fitted: Schema, tmp_path: Path) -> None:
    cache.encode(fitted, table(), tmp_path, "data")
    (folder,) = tmp_path.iterdir()
    (folder / "notes.txt").write_text("mine")
    (folder / cache.INDEX).unlink()
    mapped, _ = cache.encode(fitted, table(), tmp_path, "data")
    assert_same(mapped, cache.encode(fitted, table(), None, None)[0])
    kept = tmp_path / f"{folder.name}.kept"
    assert set(tmp_path.iterdir()) == {folder, kept}
    assert (kept / "notes.txt").read_text() == "mine"


def test_a_hit_is_a_use(fitted: Schema, tmp_path: Path) -> None:
    cache.encode(fitted, table(), tmp_path, "data")
    (folder,) = tmp_path.iterdir()
    os.utime(folder, (0, 0))
    cache.encode(fitted, table(), tmp_path, "data")
    assert folder.stat().st_mtime > 0
