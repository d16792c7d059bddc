from __future__ import annotations

import os
from pathlib import Path

import pytest

from luban.core.errors import DataError
from luban.data.folders import suggested
from luban.data.sources import read


def make(folder: Path, *files: str) -> Path:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
    return folder


def test_class_folders_give_image_and_label(tmp_path: Path) -> None:
    make(tmp_path, "狗/b.JPG", "cat/2.png", "cat/deep/1.png", "cat/.hidden.png", "__MACOSX/x.png", "cat/Thumbs.db")
    table = read(tmp_path)
    assert table.frame.rows() == [("cat/2.png", "cat"), ("cat/deep/1.png", "cat"), ("狗/b.JPG", "狗")]
    assert table.columns == ["image", "label"]
    assert (table.folder, table.name, table.notes) == (tmp_path, tmp_path.name, ())
    assert table.row_numbers.tolist() == [1, 2, 3]


def test_recordings_give_audio_and_label(tmp_path: Path) -> None:
    table = read(make(tmp_path, "yes/1.wav", "no/1.flac", "readme.txt"))
    assert table.frame.to_dict(as_series=False) == {"audio": ["no/1.flac", "yes/1.wav"], "label": ["no", "yes"]}
    assert table.notes == (f"{tmp_path.name}: left out, not audio files: 'readme.txt'",)


def test_images_without_class_folders_have_no_label(tmp_path: Path) -> None:
    table = read(make(tmp_path, "b.png", "a.png"))
    assert table.frame.to_dict(as_series=False) == {"image": ["a.png", "b.png"]}
    assert table.notes == (f"{tmp_path.name}: no class folders in it, so there is no column 'label'",)


def test_image_beside_class_folders_is_set_aside(tmp_path: Path) -> None:
    make(tmp_path, "stray.png", *(f"class/{number:03}.png" for number in range(200)))
    table = read(tmp_path)
    (rejected,) = table.rejected
    assert (rejected.row, rejected.column, rejected.reason) == (201, "label", "'stray.png' is in no class folder")
    assert len(table) == 200


def test_unreadable_name_is_set_aside(tmp_path: Path) -> None:
    make(tmp_path, *(f"class/{number:03}.png" for number in range(200)))
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/class/\xff.png")).write_bytes(b"")
    except OSError:
        pytest.skip("this file system takes no such name")
    (rejected,) = read(tmp_path).rejected
    assert (rejected.column, rejected.reason) == ("image", "the name of the file is not valid text")


def test_split_folders_are_not_classes(tmp_path: Path) -> None:
    make(tmp_path, "train/cat/1.png", "train/dog/1.png", "test/cat/2.png")
    with pytest.raises(
        DataError, match=r"expected folders named after classes, found the parts of a split, 'test', 'tr"
    ):
        read(tmp_path)
    assert read(tmp_path / "train").frame["label"].to_list() == ["cat", "dog"]


def test_folder_without_data_raises(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected a CSV or TSV file .* found an empty folder"):
        read(tmp_path)
    with pytest.raises(DataError, match=r"found only 'notes.pdf'"):
        read(make(tmp_path, "notes.pdf"))


@pytest.mark.parametrize("name", ["metadata.csv", "Manifest.csv", "labels.csv", "index.csv", "anything.tsv"])
def test_manifest_is_read(tmp_path: Path, name: str) -> None:
    make(tmp_path, "images/a.png", "images/b.png", "other/c.png")
    separator = "\t" if name.endswith(".tsv") else ","
    (tmp_path / name).write_text(f"file{separator}kind\nimages/a.png{separator}x\n")
    table = read(tmp_path)
    assert table.frame.rows() == [("images/a.png", "x")]
    assert (table.folder, table.name) == (tmp_path, f"{tmp_path.name}/{name}")
    assert table.notes[0] == f"{tmp_path.name}: read by the table '{name}' in it"


def test_manifest_wins_over_other_tables_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "labels.csv").write_text("b\n1\n")
    assert read(tmp_path).columns == ["b"]


def test_several_tables_raise(tmp_path: Path) -> None:
    make(tmp_path, "train.csv", "test.csv")
    with pytest.raises(
        DataError, match=r"expected one table, or one of 'metadata.csv'.* found 'test.csv', 'train.csv'"
    ) as found:
        read(tmp_path)
    assert f"for instance {tmp_path / 'train.csv'} --test {tmp_path / 'test.csv'}." in str(found.value)


def test_of_several_tables_the_parts_of_a_split_are_suggested(tmp_path: Path) -> None:
    train, val, b = tmp_path / "train.csv", tmp_path / "val.csv", tmp_path / "b.csv"
    assert suggested([b, train, val]) == f"{train} --validation {val}"
    assert suggested([b, val]) == str(b)


def test_real_manifests(shared_data: Path) -> None:
    cells = read(shared_data / "bccd")
    assert cells.folder == shared_data / "bccd"
    assert len(cells) == 4_888
    assert (cells.folder / cells.frame["image"][0]).is_file()
    digits = read(shared_data / "fsdd" / "train.csv")
    assert (len(digits), digits.folder) == (2_700, shared_data / "fsdd")
