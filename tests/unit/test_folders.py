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
    assert table.notes == (f"{tmp_path.name}: left out: 1 file is no audio ('readme.txt')",)


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


def linked(link: Path, target: Path) -> Path:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    return link


def test_a_link_to_a_folder_inside_is_followed(tmp_path: Path) -> None:
    make(tmp_path, "bar/1.png", ".store/noise/2.png", ".store/noise/deep/3.png")
    linked(tmp_path / "noise", tmp_path / ".store" / "noise")
    table = read(tmp_path)
    assert table.frame.rows() == [("bar/1.png", "bar"), ("noise/2.png", "noise"), ("noise/deep/3.png", "noise")]
    assert table.notes == ()


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/2.png")
    linked(tmp_path / "a" / "up", tmp_path)
    linked(tmp_path / "b" / "a", tmp_path / "a")
    linked(tmp_path / "self", tmp_path / "self")
    table = read(tmp_path)
    assert table.frame.rows() == [("a/1.png", "a"), ("b/2.png", "b")]
    assert table.notes == (
        f"{tmp_path.name}: left out: 1 link leads to nothing ('self'), "
        "2 folders are the same as another that is read ('a/up', 'b/a')",
    )


def test_the_name_that_lies_least_deep_is_the_class(tmp_path: Path) -> None:
    make(tmp_path, "all/cats/1.png", "dog/2.png")
    linked(tmp_path / "cat", tmp_path / "all" / "cats")
    table = read(tmp_path)
    assert table.frame.rows() == [("cat/1.png", "cat"), ("dog/2.png", "dog")]
    assert "('all/cats')" in table.notes[0]


def test_links_out_of_the_folder_are_named_with_what_to_do(tmp_path: Path) -> None:
    data = make(tmp_path / "data", "bar/1.png", "row/2.png")
    make(tmp_path / "else", "noise/3.png", "4.png")
    linked(data / "noise", tmp_path / "else" / "noise")
    linked(data / "bar" / "4.png", tmp_path / "else" / "4.png")
    table = read(data)
    assert table.frame["image"].to_list() == ["bar/1.png", "row/2.png"]
    assert table.notes == (
        "data: left out: 2 links lead out of the folder and are not followed ('bar/4.png', 'noise'): copy into the "
        "folder what they lead to, or make hard links (cp -rL, cp -rl)",
    )


def test_only_links_out_of_the_folder(tmp_path: Path) -> None:
    make(tmp_path / "else", "1.png")
    linked(tmp_path / "data" / "bar" / "1.png", tmp_path / "else" / "1.png")
    with pytest.raises(
        DataError, match=r"none: 1 link leads out .*\('bar/1.png'\): copy into .* Links to places inside"
    ):
        read(tmp_path / "data")


def test_a_class_folder_may_be_a_link_while_the_folder_itself_is_one(tmp_path: Path) -> None:
    make(tmp_path / "real", "a/1.png", "b/2.png")
    assert read(linked(tmp_path / "data", tmp_path / "real")).frame["label"].to_list() == ["a", "b"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_in_a_class_folder_is_named(tmp_path: Path) -> None:
    make(tmp_path, "a/1.png", "b/2.png")
    os.mkfifo(tmp_path / "a" / "x.png")
    table = read(tmp_path)
    assert len(table) == 2
    assert table.notes == (f"{tmp_path.name}: left out: 1 pipe, socket or device is no file ('a/x.png')",)


def test_a_folder_that_cannot_be_entered_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a/1.png", "b/2.png", "c/3.png")
    scandir = os.scandir

    def refuse(place: Path) -> object:
        if place.name == "c":
            raise PermissionError(13, "Permission denied")
        return scandir(place)

    monkeypatch.setattr("luban.data.media.tree.os.scandir", refuse)
    table = read(tmp_path)
    assert table.frame["label"].to_list() == ["a", "b"]
    assert table.notes == (f"{tmp_path.name}: left out: 1 folder cannot be entered ('c')",)


@pytest.mark.parametrize("wrapper", ["pets", "pets/images"])
def test_class_folders_may_be_wrapped(tmp_path: Path, wrapper: str) -> None:
    make(tmp_path, f"{wrapper}/bar/1.png", f"{wrapper}/row/2.png", f"{wrapper}/row/deep/3.png", "README.md")
    table = read(tmp_path)
    assert table.frame["label"].to_list() == ["bar", "row", "row"]
    assert table.frame["image"].to_list()[0] == f"{wrapper}/bar/1.png"
    assert table.notes[0] == f"{tmp_path.name}: the class folders are in '{wrapper}'"


def test_a_folder_with_files_of_its_own_wraps_nothing(tmp_path: Path) -> None:
    table = read(make(tmp_path, "bar/1.png", "bar/deep/2.png", "bar/deeper/3.png"))
    assert set(table.frame["label"]) == {"bar"}
    one = read(make(tmp_path / "one", "bar/deep/2.png"))
    assert set(one.frame["label"]) == {"bar"}


def test_the_parts_of_a_split_may_be_wrapped(tmp_path: Path) -> None:
    make(tmp_path, "pets/train/cat/1.png", "pets/test/cat/2.png")
    with pytest.raises(DataError, match=rf"the parts of a split, 'test', 'train'.* {tmp_path}/pets/test"):
        read(tmp_path)


PNG, WAV = b"\x89PNG\r\n\x1a\n" + bytes(9), b"RIFF\0\0\0\0WAVE"


def test_names_that_say_nothing_are_read_by_the_content(tmp_path: Path) -> None:
    make(tmp_path, "a/1.jfif", "a/2.JPE", "b/3.png")
    for name, content in {"a/4": PNG, "b/5.0": PNG, "b/6.png.bak": PNG, "b/7": WAV, "b/8": b"text"}.items():
        (tmp_path / name).write_bytes(content)
    table = read(tmp_path)
    assert table.frame["image"].to_list() == ["a/1.jfif", "a/2.JPE", "a/4", "b/3.png", "b/5.0"]
    assert table.notes == (
        f"{tmp_path.name}: 2 files are taken for image by the content, not by the name ('a/4', 'b/5.0')",
        f"{tmp_path.name}: left out: 3 files are no image ('b/6.png.bak', 'b/7', 'b/8')",
    )


def test_formats_that_are_not_decoded_are_called_by_their_names(tmp_path: Path) -> None:
    make(tmp_path, "a/1.wav", "b/2.aiff", "b/3.opus", "b/4.w64")
    for name, brand in {"a/5.m4a": b"M4A ", "a/6.m4a": b"M4A "}.items():
        (tmp_path / name).write_bytes(b"\0\0\0\x20ftyp" + brand)
    table = read(tmp_path)
    assert table.frame["audio"].to_list() == ["a/1.wav", "b/2.aiff", "b/3.opus", "b/4.w64"]
    assert table.notes == (f"{tmp_path.name}: left out: 2 files are M4A, which is not decoded ('a/5.m4a', 'a/6.m4a')",)


def test_only_formats_that_are_not_decoded(tmp_path: Path) -> None:
    make(tmp_path, "a/1.heic")
    (tmp_path / "a" / "1.heic").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(DataError, match=r"1 file is HEIC, which is not decoded .* Convert pictures to PNG or JPEG"):
        read(tmp_path)


@pytest.mark.parametrize(("limit", "what"), [("MAX_ENTRIES", "files"), ("MAX_TOTAL_BYTES", "bytes")])
def test_a_folder_has_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, what: str) -> None:
    make(tmp_path, "a/1.png", "b/2.png")
    monkeypatch.setattr(f"luban.data.media.tree.{limit}", 3)
    with pytest.raises(DataError, match=f"expected at most 3 {what}, found more. Give the folder of the data alone"):
        read(tmp_path)


def test_a_single_picture_needs_no_suffix(tmp_path: Path) -> None:
    (tmp_path / "photo").write_bytes(PNG)
    assert read(tmp_path / "photo").frame.to_dict(as_series=False) == {"image": ["photo"]}


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
