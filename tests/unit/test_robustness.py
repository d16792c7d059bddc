"""Each kind of column has its corruptions, which change cells and nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
import soundfile
from PIL import Image

from luban.data.table import Table
from luban.evaluation.robustness import CORRUPTIONS
from luban.evaluation.slices import CUTS
from luban.features import FEATURES


def table_of(cells: pl.Series, folder: Path | None = None) -> Table:
    return Table(cells.to_frame(), "rows", folder, np.arange(1, len(cells) + 1))


def corrupted(kind: str, name: str, cells: pl.Series, folder: Path | None = None) -> pl.Series:
    function = dict(CORRUPTIONS[kind])[name]
    found = [function(cells, np.random.default_rng(0), table_of(cells, folder)) for _ in range(2)]
    assert found[0].equals(found[1])
    assert (found[0].name, len(found[0])) == (cells.name, len(cells))
    return found[0]


def test_every_kind_of_column_is_corrupted_and_cut() -> None:
    kinds = {feature.kind for feature in FEATURES}
    assert kinds <= set(CORRUPTIONS)
    assert kinds <= set(CUTS)


def test_texts() -> None:
    cells = pl.Series("t", ["a plain text", None, "", "x", "日本語"])
    typed = corrupted("text", "typos", cells)
    assert sorted(typed[0]) == sorted(cells[0])
    assert typed[0] != cells[0]
    assert typed.to_list()[1:4] == [None, None, "x"]
    assert corrupted("text", "upper case", cells)[0] == "A PLAIN TEXT"


def test_words_stay_as_many() -> None:
    cells = pl.Series("w", [["a", "plain", "text"], None, [], ["x"], ["日本"]])
    typed = corrupted("words", "typos", cells)
    assert [None if row is None else len(row) for row in typed.to_list()] == [3, None, None, 1, 1]
    assert [sorted("".join(row)) for row in typed[0:1].to_list()] == [sorted("aplaintext")]
    assert typed[0].to_list() != cells[0].to_list()
    assert typed.to_list()[3:] == [["x"], ["本日"]]
    assert corrupted("words", "upper case", pl.Series("w", ["a plain text"])).to_list() == [["A", "PLAIN", "TEXT"]]
    assert CUTS["words"](pl.Series("w", [["a"] * (1 + row % 2) for row in range(60)])).names[0] == "1 to 2 words"


def test_numbers_and_missing_cells() -> None:
    noisy = corrupted("number", "noise", pl.Series("n", ["1", "3", None]))
    assert 0 < abs(noisy[0] - 1) < 1
    assert noisy[2] is None
    assert corrupted("category", "dropped", pl.Series("c", ["a", "b"])).null_count() == 2


def test_files(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(50, 200, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    cells = pl.Series("i", ["a.png", "none.png", None])
    sizes = {"noise": (30, 20), "crop": (27, 18), "darker": (30, 20)}
    for name, size in sizes.items():
        found = corrupted("image", name, cells, tmp_path)
        assert Image.open(io.BytesIO(found[0])).size == size
        assert found.null_count() == 2
    deep = io.BytesIO()
    Image.fromarray(np.full((4, 4), 3_000, np.uint16)).save(deep, "PNG")
    darker = CORRUPTIONS["image"][2][1]
    found = darker(pl.Series("i", [deep.getvalue()]), None, table_of(pl.Series([0])), ranges={"16-bit": (0.0, 4_000.0)})
    assert Image.open(io.BytesIO(found[0])).getpixel((0, 0)) == int(0.7 * round(0.75 * 255))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.sin(np.arange(8000) / 10) * 0.5, 8000, format="WAV")
    noisy = soundfile.read(io.BytesIO(corrupted("audio", "noise", pl.Series("s", [buffer.getvalue()]))[0]))[0]
    assert 0.005 < float(np.std(noisy - np.sin(np.arange(8000) / 10) * 0.5)) < 0.1
    steps = corrupted("sequence", "steps dropped", pl.Series("q", [list(range(100)), None]))
    assert 70 < len(steps[0]) < 100
