"""Rows overlap where their files hold the same, whatever the files are called."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from luban.core.errors import DataError
from luban.data import contents
from luban.data.contents import fingerprint, holds_files
from luban.data.split.overlap import drop_overlap
from luban.data.table import Table


def table(folder: Path, files: dict[str, bytes], cells: list[str | None] | None = None) -> Table:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    frame = pl.DataFrame({"image": list(files) if cells is None else cells}, schema={"image": pl.String})
    return Table(frame, f"{folder.name}.csv", folder, np.arange(1, len(frame) + 1))


def test_files_of_one_name_in_two_folders_are_two_files(tmp_path: Path) -> None:
    train = table(tmp_path / "train", {f"cat/{i}.png": b"train %d" % i for i in range(6)})
    test = table(tmp_path / "test", {f"cat/{i}.png": b"test %d!" % i for i in range(6)})
    keep, notes = drop_overlap(train, test, ["image"])
    assert keep.tolist() == [0, 1, 2, 3, 4, 5]
    assert not notes


def test_copies_under_other_names_are_found(tmp_path: Path) -> None:
    train = table(tmp_path / "train", {f"{i}.png": b"photo %d" % i for i in range(6)})
    test = table(tmp_path / "test", {"a.png": b"photo 2", "b.png": b"photo 5", "c.png": b"photo 77", "d.png": b"other"})
    keep, notes = drop_overlap(train, test, ["image"])
    assert keep.tolist() == [0, 1, 3, 4]
    assert notes == ("training rows set aside because their inputs stand in test.csv: 2 of 6",)


def test_one_folder_and_links_to_it(tmp_path: Path) -> None:
    both = {f"{i}.png": b"photo %d" % i for i in range(4)}
    train = table(tmp_path / "all", both)
    test = table(tmp_path / "all", {}, ["./3.png", "1.png"])
    assert drop_overlap(train, test, ["image"])[0].tolist() == [0, 2]
    (tmp_path / "link").symlink_to(tmp_path / "all")
    linked = table(tmp_path / "link", {}, ["0.png", "2.png"])
    assert drop_overlap(train, linked, ["image"])[0].tolist() == [1, 3]


def test_other_inputs_tell_rows_apart(tmp_path: Path) -> None:
    train, test = (table(tmp_path / name, {"x.png": b"one", "y.png": b"two"}) for name in ("train", "test"))
    ages = [pl.Series("age", [1, 2]), pl.Series("age", [1, 3])]
    with_ages = [
        Table(side.frame.with_columns(age), side.name, side.folder, side.row_numbers)
        for side, age in zip((train, test), ages, strict=True)
    ]
    assert drop_overlap(*with_ages, ["image", "age"])[0].tolist() == [1]
    with pytest.raises(DataError, match="expected training rows that are not in test.csv"):
        drop_overlap(train, test, ["image"])


def test_only_files_of_a_size_that_both_have_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = table(tmp_path / "train", {"a.png": b"1", "b.png": b"22", "c.png": b"333"})
    test = table(tmp_path / "test", {"a.png": b"4444", "b.png": b"22"})
    read: list[str] = []
    digest = contents._digest
    monkeypatch.setattr(contents, "_digest", lambda path: (read.append(path), digest(path))[1])
    assert drop_overlap(train, test, ["image"])[0].tolist() == [0, 2]
    assert sorted(read) == [str(tmp_path / side / "b.png") for side in ("test", "train")]


def test_missing_cells_and_missing_files(tmp_path: Path) -> None:
    present = {f"{i}.png": b"photo %d" % i for i in range(6)}
    train = table(tmp_path / "train", present, [*present, None, "gone.png", "../secret", "", "x" * 5000])
    test = table(tmp_path / "test", {"a.png": b"photo 1"}, [*["a.png"] * 5, "gone.png", "../secret"])
    keep, _ = drop_overlap(train, test, ["image"])
    assert keep.tolist() == [0, 2, 3, 4, 5, 6, 7, 8, 9, 10]


def test_text_is_no_column_of_files(tmp_path: Path) -> None:
    there = table(tmp_path / "a", {"x.png": b"1"})
    assert holds_files(there, "image")
    assert not holds_files(table(tmp_path / "b", {}, ["x.png"]), "image")
    assert not holds_files(table(tmp_path / "a", {}, ["x.png", "a word"]), "image")
    assert not holds_files(table(tmp_path / "a", {}, [None, ""]), "image")
    assert not holds_files(Table(there.frame, "x", None, there.row_numbers), "image")
    secret = tmp_path / "secret"
    secret.write_bytes(b"1")
    assert not holds_files(table(tmp_path / "a", {}, ["../secret"]), "image")


def test_a_fingerprint_tells_contents_and_sizes_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "weights"

    def of(content: bytes) -> str:
        path.write_bytes(content)
        return fingerprint(path)

    assert of(b"a" * 100) == of(b"a" * 100)
    assert len({of(b""), of(b"a" * 100), of(b"a" * 101), of(b"a" * 99 + b"b")}) == 4
    monkeypatch.setattr(contents, "WHOLE_BYTES", 10)
    monkeypatch.setattr(contents, "SAMPLE_BYTES", 4)
    large = bytes(4_000)
    assert of(large) == of(large)
    for place in (0, 3, 63, 3_999):  # the beginning, within the second sample, the end
        assert of(large[:place] + b"\1" + large[place + 1 :]) != of(large)
    assert of(large[:10] + b"\1" + large[11:]) == of(large)  # between two samples
