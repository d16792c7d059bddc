"""Cells that name files: how they may be written, which columns have such cells, and what is said of the others."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from luban.core.errors import SchemaError
from luban.data.contents import contents, holds_files
from luban.data.media.cells import locate
from luban.data.media.unreadable import UnreadableCellError
from luban.data.sources import read
from luban.features.infer import plan, require_inputs

PNG = b"\x89PNG\r\n\x1a\n" + bytes(9)


def made(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG + name.encode())
    return folder


def manifest(folder: Path, cells: list[str]) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / "labels.csv"
    path.write_text("\n".join(["file,y", *(f"{cell},{row % 2}" for row, cell in enumerate(cells))]) + "\n", "utf-8")
    return path


class TestLocate:
    @pytest.mark.parametrize(
        ("cell", "expected"),
        [
            ("images/a.png", "images/a.png"),
            ("images\\a.png", "images/a.png"),
            ("images/b", "images/b.PNG"),
            ("images\\b", "images/b.PNG"),
            ("images/c", "images/c"),
            ("images/d.1", "images/d.1.jpeg"),
            ("./images//a.png", "images/a.png"),
        ],
    )
    def test_ways_of_writing(self, tmp_path: Path, cell: str, expected: str) -> None:
        made(tmp_path, "images/a.png", "images/b.PNG", "images/c", "images/c.png", "images/d.1.jpeg")
        assert locate(cell, tmp_path) == tmp_path / expected

    def test_a_backslash_may_be_part_of_a_name(self, tmp_path: Path) -> None:
        made(tmp_path, "a\\b.png", "a/b.png")
        assert locate("a\\b.png", tmp_path) == tmp_path / "a\\b.png"

    @pytest.mark.parametrize("cell", ["..\\secret.png", "../secret", "a\\..\\..\\secret.png", "C:\\secret.png"])
    def test_no_way_of_writing_leaves_the_folder(self, tmp_path: Path, cell: str) -> None:
        made(tmp_path, "secret.png", "data/a/b.png")
        with pytest.raises(
            UnreadableCellError, match=r"leaves the folder of the data|is an absolute path|there is no file"
        ):
            locate(cell, tmp_path / "data")

    def test_a_name_of_several_files_is_none(self, tmp_path: Path) -> None:
        made(tmp_path, "a.png", "a.jpg")
        with pytest.raises(UnreadableCellError) as raised:
            locate("a", tmp_path)
        assert str(raised.value) == "'a' may be any of the files 'a.jpg', 'a.png'"

    def test_a_link_is_followed_inside_the_folder_alone(self, tmp_path: Path) -> None:
        made(tmp_path, "outside.png", "data/real.png")
        (tmp_path / "data" / "in.png").symlink_to("real.png")
        (tmp_path / "data" / "out.png").symlink_to("../outside.png")
        assert locate("in.png", tmp_path / "data") == tmp_path / "data" / "real.png"
        for cell in ("out.png", "out"):
            with pytest.raises(UnreadableCellError, match=rf"'{cell}' is a link that leads out .* make a hard link"):
                locate(cell, tmp_path / "data")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
    def test_a_pipe_is_no_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "a.png")
        with pytest.raises(UnreadableCellError, match="there is no file 'a.png'"):
            locate("a.png", tmp_path)


class TestColumns:
    def test_backslashes_are_told_once(self, tmp_path: Path) -> None:
        made(tmp_path, *(f"images/{number:03}.png" for number in range(12)))
        table = read(manifest(tmp_path, [f"images\\{number:03}.png" for number in range(12)]))
        (found,) = plan(table, target="y")
        assert found.kind == "image"
        assert found.note == ("column 'file': backslashes are read as slashes, 'images\\000.png' as 'images/000.png'")

    def test_names_without_a_suffix_beside_their_files(self, tmp_path: Path) -> None:
        made(tmp_path, *(f"{number:03}.png" for number in range(12)))
        table = read(manifest(tmp_path, [f"{number:03}" for number in range(12)]))
        (found,) = plan(table, target="y")
        assert found.kind == "image"
        assert found.note == "column 'file': names without a suffix are read with it, '000' as '000.png'"

    def test_files_without_a_suffix(self, tmp_path: Path) -> None:
        made(tmp_path, *(f"images/{number:03}" for number in range(12)))
        table = read(manifest(tmp_path, [f"images/{number:03}" for number in range(12)]))
        (found,) = plan(table, target="y")
        assert (found.kind, found.note) == ("image", "")

    @pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
    def test_files_with_a_suffix_beside_files_without(self, tmp_path: Path, share: float) -> None:
        names = [f"images/{number:03}{'.png' * (number % 10 < share * 10)}" for number in range(60)]
        table = read(manifest(made(tmp_path, *names), names))
        assert [found.kind for found in plan(table, target="y")] == ["image"]

    @pytest.mark.parametrize("suffix", ["", ".png"])
    def test_names_of_files_in_another_folder(self, tmp_path: Path, suffix: str) -> None:
        made(tmp_path, *(f"images/{number:03}.png" for number in range(12)), "other/x.png")
        table = read(manifest(tmp_path, [f"{number:03}{suffix}" for number in range(12)]))
        plans = plan(table, target="y")
        said = (
            "column 'file': its cells are the names of files in 'images'; to learn from these, write them as paths, "
            f"'images/000.png' for '000{suffix}'"
        )
        assert plans[0].note == said
        if not suffix:
            with pytest.raises(SchemaError, match="found none: .* write them as paths, 'images/000.png' for '000'"):
                require_inputs(table, plans)

    def test_names_whose_files_are_nowhere_are_still_pictures(self, tmp_path: Path) -> None:
        table = read(manifest(tmp_path, [f"{number:03}.png" for number in range(12)]))
        (found,) = plan(table, target="y")
        assert (found.kind, found.note) == ("image", "")

    def test_addresses_are_no_sound(self, tmp_path: Path) -> None:
        table = read(manifest(tmp_path, [f"person{number}@mail.com.au" for number in range(12)]))
        assert [found.kind for found in plan(table, target="y")] != ["audio"]

    def test_words_that_happen_to_be_names_of_files_are_words(self, tmp_path: Path) -> None:
        made(tmp_path, "cat.png", "dog.png")
        table = read(manifest(tmp_path, ["cat", "dog", "cat", "dog"] * 5))
        assert [found.kind for found in plan(table, target="y")] == ["category"]

    def test_contents_are_those_of_the_files_however_written(self, tmp_path: Path) -> None:
        made(tmp_path, "images/a.png", "images/b.png")
        table = read(manifest(tmp_path, ["images\\a.png", "images/a", "images/b.png"]))
        assert holds_files(table, "file")
        keys = contents((table, table), "file")[0]
        assert keys[0] == keys[1] != keys[2]
        assert isinstance(keys, pl.Series)
